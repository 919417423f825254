"""UniDet (arXiv 2102.13086) as a network, read from the published checkpoints: prepared pictures to boxes and classes.

Shapes: N pictures of equal size, R proposals, K classes, D detections of one picture.

Every tensor of a file is accounted for. No published file was at hand when this was written: that the tensors lie under
"model" or stand alone, and which others come with them, is inferred from detectron2's checkpointer. The tensors' names
and shapes are those of the network itself.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gotr1_eval.core.errors import BackendError, DataError, one_line
from gotr1_eval.models.checkpoint import some
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES, Architecture
from gotr1_eval.models.detectors.unidet.backbone import Pyramid
from gotr1_eval.models.detectors.unidet.boxes import has_area, suppress
from gotr1_eval.models.detectors.unidet.cascade import Cascade, Stage
from gotr1_eval.models.detectors.unidet.proposals import Proposer

THRESHOLD = 0.1
"""T2I-CompBench's copy of UniDet has this number in place of the configured one; 0.5 in its scripts has no effect."""
_OVERLAP = 0.5
_MOST = 300


@dataclass(frozen=True, slots=True)
class Found:
    """The detections of one picture, best first.

    Attributes:
        boxes: float32 [D, 4], in pixels of the picture as the model sees it.
        scores: float32 [D], in [0, 1].
        classes: int64 [D].
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor


class UniDet(nn.Module):
    """The names of the layers are those of the published checkpoints."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.backbone = Pyramid(architecture)
        self.proposal_generator = Proposer(architecture.channels)
        self.roi_heads = Cascade(architecture)

    def forward(self, pixels_N3HW: torch.Tensor, size: tuple[int, int]) -> list[Found]:
        """The detections of each picture.

        The cascade takes the pictures one by one: a thousand boxes fill any device, and a picture's numbers then do
        not depend on its neighbours.

        Args:
            pixels_N3HW: normalised, and padded at the right and the bottom to multiples of 32.
            size: (width, height) without padding.

        Raises:
            BackendError: a feature is not finite: what is found then would be what is left, and not what is there.
        """
        pyramid = self.backbone(pixels_N3HW)
        if not all(bool(level.isfinite().all()) for level in pyramid):
            raise BackendError("unidet: a feature is not finite; the weights are damaged, or try precision float32")
        proposals = self.proposal_generator(pyramid, size)
        return [
            select(self.roi_heads([level[place] for level in pyramid], boxes_R4, size))
            for place, boxes_R4 in enumerate(proposals)
        ]


def mean_scores(stages: Sequence[Stage]) -> torch.Tensor:
    """[R, K + 1]: every logit's sigmoid, averaged over the stages.

    A multiplication by a third, as in the reference: a division rounds differently.
    """
    first, second, third = (stage.logits.sigmoid() for stage in stages)
    return (first + second + third) * (1 / 3)


def select(stages: Sequence[Stage]) -> Found:
    """Every pair of box and class above the threshold, the overlapping ones of a class suppressed, at most 300.

    The background competes with no class: its column is left out. As in the reference, a row with a number that is not
    finite is dropped, and empty boxes are dropped after the 300 were counted.
    """
    boxes_R4, scores_RK = stages[-1].moved, mean_scores(stages)
    sound_R = boxes_R4.isfinite().all(dim=1) & scores_RK.isfinite().all(dim=1)
    if len(sound_R) and not sound_R.any():
        raise BackendError("unidet: no score is finite; the weights are damaged, or try precision float32")
    boxes_R4, scores_RK = boxes_R4[sound_R], scores_RK[sound_R][:, :-1]
    rows, classes = (scores_RK > THRESHOLD).nonzero(as_tuple=True)
    boxes, scores = boxes_R4[rows], scores_RK[rows, classes]
    best = suppress(boxes, scores, classes, _OVERLAP)[:_MOST]
    best = best[has_area(boxes[best])]
    return Found(boxes[best], scores[best].float(), classes[best])


Tensors = dict[str, torch.Tensor]

_CONSTANTS = re.compile(r"pixel_(mean|std)|proposal_generator\.anchor_generator\.cell_anchors\.\d+")
"""Written by the detectron2 of 2021; their values follow from the configuration."""
_COUNTER = ".num_batches_tracked"
_STEMS = {"backbone.bottom_up.stem.conv1.weight": "r50", "backbone.bottom_up.stem.conv1_1.weight": "rs200"}


def load_unidet(path: Path, architecture: Architecture) -> UniDet:
    """The network on the CPU in float32, in evaluation mode.

    Raises:
        DataError: the file is damaged, is of another model or size, or a tensor is missing, surplus or misshapen.
    """
    tensors = read_tensors(path)
    with torch.device("meta"):
        network = UniDet(architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors = drop_ignored(tensors, expected)
    if faults := _faults(tensors, expected):
        raise DataError(
            f"expected the weights of UniDet {architecture.name}: {faults}{_other_size(tensors)}", path=path
        )
    copies = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
    network.load_state_dict(copies, assign=True)
    return network.requires_grad_(False).eval()


def read_tensors(path: Path) -> Tensors:
    """The tensors of a .pth file by name, without `module.` in front.

    Raises:
        DataError: the file cannot be read, holds code, or holds something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise DataError(f"not a checkpoint of tensors alone: {one_line(error, 160)}", path=path) from None
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"not a checkpoint that can be read: {one_line(error, 160)}", path=path) from None
    tensors = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise DataError("expected tensors by name, or those under 'model'", path=path)
    return {str(name).removeprefix("module."): tensor for name, tensor in tensors.items()}


def drop_ignored(tensors: Mapping[str, torch.Tensor], expected: Iterable[str]) -> Tensors:
    """Without the constants and without training's counters of the normalisations that exist."""
    counters = {name.removesuffix(".running_var") + _COUNTER for name in expected if name.endswith(".running_var")}
    return {name: tensor for name, tensor in tensors.items() if name not in counters and not _CONSTANTS.fullmatch(name)}


def _faults(tensors: Tensors, expected: Mapping[str, tuple[int, ...]]) -> str:
    """What is wrong with the tensors, in words; empty when nothing is."""
    both = expected.keys() & tensors.keys()
    kinds = {
        "missing": expected.keys() - both,
        "surplus": tensors.keys() - both,
        "misshapen": [name for name in both if tuple(tensors[name].shape) != expected[name]],
        "not of floating-point numbers": [name for name in both if not tensors[name].is_floating_point()],
    }
    return "; ".join(f"{len(names)} {kind} ({some(names)})" for kind, names in kinds.items() if names)


def _other_size(tensors: Tensors) -> str:
    """A hint when the tensors are those of the other size."""
    found = [size for stem, size in _STEMS.items() if stem in tensors]
    return f"; it looks like {found[0]} (known: {', '.join(ARCHITECTURES)})" if len(found) == 1 else ""
