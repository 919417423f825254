"""Reads the published UniDet checkpoints; every tensor of the file is accounted for.

No published file was at hand when this was written: that the tensors lie under "model" or stand alone, and which
others come with them, is inferred from detectron2's checkpointer. The tensors' names and shapes are those of the
network itself.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.models.checkpoint import some
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES, Architecture
from gotr1_eval.models.detectors.unidet.network import UniDet

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
