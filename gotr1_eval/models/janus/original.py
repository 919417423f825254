"""Reads a checkpoint in DeepSeek's original layout into transformers' Janus, tensor by tensor.

The model is built once, in its final type and place, and each stored tensor is copied into it and let go: the memory
holds the model and one tensor. transformers itself reads such a folder without an error as a random 7B model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import JanusForConditionalGeneration
from transformers.initialization import no_init_weights

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.models.autoregressive.weight_files import Source, StoredTensor, stored_tensors, weights_entry
from gotr1_eval.models.checkpoint import first_names
from gotr1_eval.models.janus.original_config import native_config
from gotr1_eval.models.janus.original_names import source_of, without_counterpart

ORIGINAL = "multi_modality"
"""`model_type` of the original layout."""


def load_original(
    folder: Path,
    original: Mapping[str, Any],
    *,
    device: torch.device,
    dtype: torch.dtype | None,
) -> Any:  # noqa: ANN401 - transformers is untyped
    """The model on its device.

    Args:
        original: the content of config.json.
        dtype: None keeps the type in which the language head is stored.

    Raises:
        UsageError: the folder holds no weights.
        DataError: a file cannot be read; a tensor is missing, of another shape, or belongs to no part of the model.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for stored in stored_tensors(folder):
        shapes[stored.name] = stored.shape
        if dtype is None and stored.name == "language_model.lm_head.weight":
            dtype = stored.read().dtype
    config = native_config(original, shapes, folder / "config.json")
    dtype = dtype or torch.float32
    try:
        with no_init_weights(), device:
            model = JanusForConditionalGeneration._from_config(config, dtype=dtype)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise DataError(f"no Janus has these sizes: {one_line(error)}", path=folder / "config.json") from None
    filling = _Filling(model.state_dict())
    for stored in stored_tensors(folder):
        filling.take(stored)
    filling.check(folder)
    return model.eval()


@dataclass(slots=True)
class _Filling:
    """The tensors of a model, and what was found for them."""

    native: Mapping[str, Tensor]
    wanted: dict[str, list[tuple[str, Source]]] = field(init=False)
    seen: dict[str, Path] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    file: Path | None = None

    def __post_init__(self) -> None:
        self.wanted = defaultdict(list)
        for name in self.native:
            source = source_of(name)
            self.wanted[source.name].append((name, source))

    def take(self, stored: StoredTensor) -> None:
        """Copy one stored tensor to where it belongs, or note what is wrong with it."""
        if without_counterpart(stored.name):
            return
        if stored.name not in self.wanted:
            self._note("unexpected", stored)
        elif stored.name in self.seen:
            self._note(f"stored twice, also in {self.seen[stored.name].name}", stored)
        elif any(
            stored.shape != source.stored_shape(tuple(self.native[name].shape))
            for name, source in self.wanted[stored.name]
        ):
            self._note("of another shape than config.json and the other tensors say", stored)
        else:
            tensor = stored.read()
            for name, source in self.wanted[stored.name]:
                part = source.take(tensor)
                self.native[name].copy_(part.reshape(self.native[name].shape))
        self.seen[stored.name] = stored.file

    def _note(self, fault: str, stored: StoredTensor) -> None:
        self.faults[fault].append(stored.name)
        self.file = self.file or stored.file

    def check(self, folder: Path) -> None:
        """Raises DataError that names what is missing, surplus or misshapen."""
        missing = [name for name in self.wanted if name not in self.seen]
        found = {"missing": missing, **self.faults} if missing else self.faults
        if found:
            words = "; ".join(f"{len(names)} {fault} ({first_names(names)})" for fault, names in found.items())
            raise DataError(
                f"the weights do not fit the configuration: {words}", path=self.file or weights_entry(folder)
            )
