"""OpenMMLab's Mask2Former Swin-S for instances, the detector of GenEval, read into transformers' classes.

The file of mmdet 2.x and the one re-hosted for 3.x hold the same 649 tensors under different names. Every one is
accounted for: 24 are tables of constants, which are compared with transformers' own, all others become weights.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.perception import TensorCount
from gotr1_eval.files.official_files import file_sha256, interchangeable, official_file
from gotr1_eval.models.checkpoint import quiet, some
from gotr1_eval.models.detectors._coco import NAMES
from gotr1_eval.models.detectors._mask2former_folder import IMMATERIAL
from gotr1_eval.models.detectors._mask2former_names import to_transformers
from gotr1_eval.models.encoders._open_clip import read_tensors

_USUAL = official_file("mask2former")
OFFICIAL = {file.hash_start for file in (_USUAL, *interchangeable(_USUAL))}
"""The first eight digits of the sha256 of GenEval's own file and of the one re-hosted for mmdet 3.x."""
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8})\.pth")
_CLASSES_KEY = "panoptic_head.cls_embed.weight"
_PANOPTIC_ROWS = 134
_CONSTANTS = "relative_position_index"


def swin_small() -> Mask2FormerConfig:
    """The architecture of the official files; transformers counts one decoder layer more than it builds."""
    backbone = {
        "model_type": "swin", "image_size": 224, "patch_size": 4, "embed_dim": 96, "depths": [2, 2, 18, 2],
        "num_heads": [3, 6, 12, 24], "window_size": 7, "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }  # fmt: skip
    return Mask2FormerConfig(
        backbone_config=backbone, feature_size=256, mask_feature_size=256, hidden_dim=256, num_attention_heads=8,
        encoder_layers=6, encoder_feedforward_dim=1024, decoder_layers=10, dim_feedforward=2048, num_queries=100,
        pre_norm=False, num_labels=len(NAMES),
    )  # fmt: skip


class OpenMmlabFile:
    """A ``.pth`` of OpenMMLab's Mask2Former Swin-S for instances."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError when there is no such file."""
        if not path.is_file():
            raise UsageError(f"no such file: {path}; OpenMMLab hosts the official one at {_USUAL.url}")
        self._path = path

    @cached_property
    def digest(self) -> str:
        """sha256 of the file.

        Raises:
            DataError: the name ends in another hash, as it does after a broken download.
        """
        digest = file_sha256(self._path)
        named = _HASH_IN_NAME.search(self._path.name)
        if named and not digest.startswith(named[1]):
            raise DataError(
                f"its name promises a sha256 that begins with {named[1]}, it is {digest[:8]}...; download it again",
                path=self._path,
            )
        return digest

    @property
    def name(self) -> str:
        """What the detector is called: the plain name for the two official files, by whatever name they are kept."""
        known = self.digest[:8] in OFFICIAL
        return "mask2former-openmmlab" if known else f"mask2former-openmmlab,sha256 {self.digest[:8]}"

    def count_tensors(self) -> TensorCount:
        """Those of the file, and those that are no tables of constants; raises DataError."""
        names = list(read_tensors(self._path))
        return TensorCount(len(names), sum(not name.endswith(_CONSTANTS) for name in names))

    def load(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The model in float32 on the CPU; DataError for a damaged file or another model's."""
        _ = self.digest
        return load_openmmlab(self._path, swin_small())


def load_openmmlab(path: Path, config: Mask2FormerConfig) -> Any:  # noqa: ANN401
    """The model of that architecture with the file's weights, in evaluation mode.

    Raises:
        DataError: not a checkpoint, the panoptic model's, or a tensor is missing, surplus or of another shape.
    """
    tensors = read_tensors(path)
    if _CLASSES_KEY in tensors and tensors[_CLASSES_KEY].shape[:1] == (_PANOPTIC_ROWS,):
        raise DataError(
            "this is the panoptic model (133 classes) that old versions of mmdet kept under the same name; "
            f"the instance model (80) is at {_USUAL.url}",
            path=path,
        )
    renamed = to_transformers(tensors)
    with quiet():
        model = Mask2FormerForUniversalSegmentation(config).eval()
    _check_complete(path, model, renamed.tensors, renamed.unknown)
    model.load_state_dict(renamed.tensors, strict=False)
    return model


def _check_complete(path: Path, model: Any, tensors: dict[str, torch.Tensor], unknown: tuple[str, ...]) -> None:  # noqa: ANN401
    """Takes the tables of constants out of `tensors`; raises DataError unless what is left fills the model."""
    constants = {name: table for name, table in model.named_buffers() if name.endswith(_CONSTANTS)}
    foreign = [name for name in constants.keys() & tensors.keys() if not _same(tensors.pop(name), constants[name])]
    wanted = model.state_dict()
    faults = {
        "missing": [name for name in wanted.keys() - tensors.keys() if not name.endswith(IMMATERIAL)],
        "unknown": [*unknown, *(tensors.keys() - wanted.keys())],
        "misshapen": [name for name in wanted.keys() & tensors.keys() if tensors[name].shape != wanted[name].shape],
        "for another order of windows": foreign,
    }
    told = "; ".join(f"{len(names)} {kind} ({some(names)})" for kind, names in faults.items() if names)
    if told:
        raise DataError(f"expected the tensors of OpenMMLab's Mask2Former Swin-S for instances: {told}", path=path)


def _same(table: torch.Tensor, ours: torch.Tensor) -> bool:
    return torch.equal(table.flatten().to(ours.dtype), ours.flatten())
