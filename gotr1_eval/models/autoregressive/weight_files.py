"""The weight files of a checkpoint folder, tensor by tensor: safetensors or .bin, whole or in shards.

A .bin file is a pickle, which can run anything when it is read; here it may hold tensors only.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gotr1_eval.core.errors import DataError, UsageError, one_line

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Names under which a folder may hold its weights; the first that is there is read."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file, not read yet.

    Attributes:
        read: gives the tensor, on the CPU, in the type in which it is stored.
    """

    name: str
    shape: tuple[int, ...]
    file: Path
    read: Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's tensor comes from in another layout: a tensor there, and which of its parts.

    Attributes:
        leading_axis: the other layout's tensor has one more axis, of 1, in front.
    """

    name: str
    part: int = 0
    parts: int = 1
    leading_axis: bool = False

    def take(self, stored: Tensor) -> Tensor:
        """The model's tensor, but for a leading axis of 1."""
        return stored.chunk(self.parts)[self.part] if self.parts > 1 else stored

    def stored_shape(self, native: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that the other layout's tensor must have for a tensor of the model of this shape."""
        return (1, *native) if self.leading_axis else (native[0] * self.parts, *native[1:])


def weights_entry(folder: Path) -> Path:
    """The file at which reading a folder's weights starts: the only one, or the index of the shards.

    Raises:
        UsageError: the folder has none.
    """
    entry = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if entry is None:
        raise UsageError(f"{folder} has no weights; expected one of {', '.join(WEIGHTS)}")
    return entry


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, in order.

    Raises:
        UsageError: the folder has none.
        DataError: the index is damaged, or names a shard that is not there.
    """
    entry = weights_entry(folder)
    if not entry.name.endswith(".index.json"):
        return [entry]
    try:
        names = sorted(set(json.loads(entry.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not an index of shards: {one_line(error)}", path=entry) from None
    for name in names:
        # An index comes with a download; it must not point anywhere but into its own folder.
        if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
            raise DataError(f"the shard {name!r} is missing from {folder}; download it again", path=entry)
    return [folder / name for name in names]


def stored_tensors(folder: Path) -> Iterator[StoredTensor]:
    """Every tensor of the folder, file by file, so that no more than one file is open.

    Raises:
        UsageError, DataError: as `weight_files`; also a file that cannot be read.
    """
    for file in weight_files(folder):
        yield from tensors_of(file)


def tensors_of(file: Path) -> Iterator[StoredTensor]:
    """Every tensor of one file; raises DataError where it cannot be read."""
    yield from _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)


def _safetensors(file: Path) -> Iterator[StoredTensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a mapping
                shape = tuple(opened.get_slice(name).get_shape())
                yield StoredTensor(name, shape, file, lambda name=name: opened.get_tensor(name))  # type: ignore[misc]
    except (SafetensorError, OSError) as error:
        raise DataError(f"not a safetensors file: {one_line(error)}", path=file) from None


def _pickled(file: Path) -> Iterator[StoredTensor]:
    for name, tensor in _load_pickle(file).items():
        yield StoredTensor(name, tuple(tensor.shape), file, lambda tensor=tensor: tensor)  # type: ignore[misc]


def _load_pickle(file: Path) -> dict[str, Tensor]:
    """The tensors, mapped from the file rather than copied where its format allows."""
    try:
        try:
            content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:
            # Files written before torch 1.6 are no archives and cannot be mapped.
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"damaged, or holds more than tensors, which could run anything: {one_line(error, 120)}"
        raise DataError(f"{message}; convert it to safetensors where it comes from", path=file) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise DataError(f"not a file of torch weights: {one_line(error, 120)}", path=file) from None
    if not isinstance(content, dict) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise DataError("expected a dictionary of tensors", path=file)
    return content
