"""The head that LAION's aesthetic predictor and ImageReward share: five linear layers, nothing between them.

Its official files number the layers 0, 2, 4, 6 and 7: dropouts stood between them in training, and no activation ever
did, so that the head is affine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import nn

from gotr1_eval.core.errors import DataError
from gotr1_eval.models.checkpoint import in_words, shape_faults

Tensors = Mapping[str, torch.Tensor]
Shapes = Mapping[str, tuple[int, ...]]
_PLACES = (0, 2, 4, 6, 7)
_WIDTHS = (1024, 128, 64, 16, 1)


def head_shapes(width: int, prefix: str = "layers.") -> dict[str, tuple[int, ...]]:
    """The name and shape of every tensor of the head on features of so many numbers."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, rows, columns in zip(_PLACES, _WIDTHS, (width, *_WIDTHS), strict=False):
        shapes |= {f"{prefix}{place}.weight": (rows, columns), f"{prefix}{place}.bias": (rows,)}
    return shapes


def build_head(tensors: Tensors, prefix: str = "layers.") -> nn.Sequential:
    """The layers with their weights; the tensors are those of `head_shapes`."""
    layers = []
    for place in _PLACES:
        weight = tensors[f"{prefix}{place}.weight"]
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": tensors[f"{prefix}{place}.bias"]})
        layers.append(layer)
    return nn.Sequential(*layers)


def check_tensors(path: Path, what: str, expected: Shapes, found: Tensors, unread: Collection[str] = ()) -> None:
    """See that a file's tensors are exactly those of a model.

    Args:
        what: the file should hold, for the message.
        unread: names that may be there or not: no rating depends on them.

    Raises:
        DataError: one is missing, surplus or of another shape; one line.
    """
    read = {name: tensor for name, tensor in found.items() if name in expected or name not in unread}
    if faults := in_words(shape_faults(expected, read)):
        raise DataError(f"the weights do not make {what}: {faults}", path=path)
