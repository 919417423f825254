"""Mask2Former in transformers' own layout: a folder, or a repository on the Hugging Face hub."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import Mask2FormerForUniversalSegmentation

from gotr1_eval.core.coco import NAMES
from gotr1_eval.core.errors import UsageError
from gotr1_eval.models.checkpoint import find_folder, folder_digest, load_whole, read_config_json, read_model_type

DEFAULT = "facebook/mask2former-swin-small-coco-instance"
"""Meta's own training of the architecture that GenEval uses in OpenMMLab's training."""
IMMATERIAL = (
    "criterion.empty_weight",
    "encoder.swin.layernorm.weight",
    "encoder.swin.layernorm.bias",
    "relative_position_index",
)
"""Tensors that files have or lack by their age: of the loss, of a layer that is never called, tables of constants."""
_ATTENTION = {"": "eager", "backbone_config": "sdpa"}
"""The model itself knows `eager` only."""


class TransformersFolder:
    """A Mask2Former for COCO's 80 things."""

    def __init__(self, model: str, revision: str | None) -> None:
        self._model, self._revision = model, revision

    @cached_property
    def _folder(self) -> Path:
        return find_folder(self._model, self._revision)

    @property
    def name(self) -> str:
        """What the detector is called; a model other than the usual one shows the last part of its name."""
        other = Path(self._model).expanduser().resolve().name
        return "mask2former-hf" if self._model == DEFAULT else f"mask2former-hf,{other}"

    @cached_property
    def digest(self) -> str:
        """Of the configuration and the weights; UsageError where there are none."""
        return folder_digest(self._folder)

    def load(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The model in float32 on the CPU.

        Raises:
            UsageError: another model's folder, or one trained for other things.
            DataError: damaged or incomplete files.
        """
        kind = read_model_type(self._folder)
        if kind != "mask2former":
            raise UsageError(f"{self._folder}: expected model_type 'mask2former', got {kind!r}")
        _check_classes(self._folder)
        return load_whole(
            Mask2FormerForUniversalSegmentation,
            self._folder,
            device=torch.device("cpu"),
            dtype=torch.float32,
            attention=_ATTENTION,
            unread=re.compile(".*(" + "|".join(map(re.escape, IMMATERIAL)) + ")"),
        )


def _check_classes(folder: Path) -> None:
    """That the classes are COCO's in COCO's order, as far as the configuration tells.

    The names between differ between files (``tv``, ``tvmonitor``), so that only the first and the last are compared.
    """
    path = folder / "config.json"
    names = read_config_json(folder).get("id2label") or {}
    if not isinstance(names, dict) or len(names) != len(NAMES):
        raise UsageError(f"{path}: expected {len(NAMES)} classes (COCO's things), got {len(names)}; try {DEFAULT}")
    for place in (0, len(NAMES) - 1):
        name = str(names.get(str(place), ""))
        if name.casefold() not in (NAMES[place], f"label_{place}"):
            raise UsageError(f"{path}: expected class {place} to be {NAMES[place]!r}, got {name!r}; try {DEFAULT}")
