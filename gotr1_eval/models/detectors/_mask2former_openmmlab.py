"""OpenMMLab's Mask2Former Swin-S for instances, the detector of GenEval, read into transformers' classes.

The file of mmdet 2.x and the one re-hosted for 3.x hold the same 649 tensors under different names. Every one is
accounted for: 24 are tables of constants, which are compared with transformers' own, all others become weights.

In the tables of names ``#`` is a number and ``*`` is ``weight`` or ``bias``; ``[qkv]`` cuts a tensor into the three of
query, key and value. One kind of tensor is reordered: mmdet merges 2x2 patches channel by channel, transformers patch
by patch. The names are those of transformers 5's modules (4's differ).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from gotr1_eval.core.coco import NAMES
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.perception import TensorCount
from gotr1_eval.files.official_files import file_sha256, interchangeable, official_file
from gotr1_eval.models.checkpoint import in_words, quiet
from gotr1_eval.models.detectors._mask2former_folder import IMMATERIAL
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
    if told := in_words(faults):
        raise DataError(f"expected the tensors of OpenMMLab's Mask2Former Swin-S for instances: {told}", path=path)


def _same(table: torch.Tensor, ours: torch.Tensor) -> bool:
    return torch.equal(table.flatten().to(ours.dtype), ours.flatten())


_SWIN = "model.pixel_level_module.encoder.swin."
_STAGE, _BLOCK = "backbone.stages.#.", "backbone.stages.#.blocks.#."
_HF_BLOCK = f"{_SWIN}encoder.layers.#.blocks.#."
_PIXELS, _HF_PIXELS = "panoptic_head.pixel_decoder.", "model.pixel_level_module.decoder."
_ENCODER, _HF_ENCODER = f"{_PIXELS}encoder.layers.#.", f"{_HF_PIXELS}encoder.layers.#."
_QUERIES, _HF_QUERIES = "panoptic_head.transformer_decoder.", "model.transformer_module.decoder."
_DECODER, _HF_DECODER = f"{_QUERIES}layers.#.", f"{_HF_QUERIES}layers.#."
_BIASES = "attention.relative_position_bias."

_TABLE = {
    "backbone.patch_embed.projection.*": f"{_SWIN}embeddings.patch_embeddings.projection.*",
    "backbone.patch_embed.norm.*": f"{_SWIN}embeddings.norm.*",
    f"{_BLOCK}norm1.*": f"{_HF_BLOCK}layernorm_before.*",
    f"{_BLOCK}norm2.*": f"{_HF_BLOCK}layernorm_after.*",
    f"{_BLOCK}attn.w_msa.qkv.*": f"{_HF_BLOCK}attention.[qkv]_proj.*",
    f"{_BLOCK}attn.w_msa.proj.*": f"{_HF_BLOCK}attention.o_proj.*",
    f"{_BLOCK}attn.w_msa.relative_position_bias_table": f"{_HF_BLOCK}{_BIASES}relative_position_bias_table",
    f"{_BLOCK}attn.w_msa.relative_position_index": f"{_HF_BLOCK}{_BIASES}relative_position_index",
    f"{_BLOCK}ffn.layers.0.0.*": f"{_HF_BLOCK}mlp.fc1.*",
    f"{_BLOCK}ffn.layers.1.*": f"{_HF_BLOCK}mlp.fc2.*",
    f"{_STAGE}downsample.norm.*": f"{_SWIN}encoder.layers.#.downsample.norm.*",
    f"{_STAGE}downsample.reduction.weight": f"{_SWIN}encoder.layers.#.downsample.reduction.weight",
    **{f"backbone.norm{i}.*": f"model.pixel_level_module.encoder.hidden_states_norms.stage{i + 1}.*" for i in range(4)},
    f"{_PIXELS}input_convs.#.conv.*": f"{_HF_PIXELS}input_projections.#.0.*",
    f"{_PIXELS}input_convs.#.gn.*": f"{_HF_PIXELS}input_projections.#.1.*",
    **{
        f"{_ENCODER}attentions.0.{part}.*": f"{_HF_ENCODER}self_attn.{part}.*"
        for part in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    },
    f"{_ENCODER}norms.0.*": f"{_HF_ENCODER}self_attn_layer_norm.*",
    f"{_ENCODER}norms.1.*": f"{_HF_ENCODER}final_layer_norm.*",
    f"{_ENCODER}ffns.0.layers.0.0.*": f"{_HF_ENCODER}fc1.*",
    f"{_ENCODER}ffns.0.layers.1.*": f"{_HF_ENCODER}fc2.*",
    f"{_PIXELS}level_encoding.weight": f"{_HF_PIXELS}level_embed",
    f"{_PIXELS}lateral_convs.0.conv.weight": f"{_HF_PIXELS}adapter_1.0.weight",
    f"{_PIXELS}lateral_convs.0.gn.*": f"{_HF_PIXELS}adapter_1.1.*",
    f"{_PIXELS}output_convs.0.conv.weight": f"{_HF_PIXELS}layer_1.0.weight",
    f"{_PIXELS}output_convs.0.gn.*": f"{_HF_PIXELS}layer_1.1.*",
    f"{_PIXELS}mask_feature.*": f"{_HF_PIXELS}mask_projection.*",
    f"{_DECODER}attentions.0.attn.in_proj_*": f"{_HF_DECODER}cross_attn.in_proj_*",
    f"{_DECODER}attentions.0.attn.out_proj.*": f"{_HF_DECODER}cross_attn.out_proj.*",
    f"{_DECODER}attentions.1.attn.in_proj_*": f"{_HF_DECODER}self_attn.[qkv]_proj.*",
    f"{_DECODER}attentions.1.attn.out_proj.*": f"{_HF_DECODER}self_attn.out_proj.*",
    f"{_DECODER}norms.0.*": f"{_HF_DECODER}cross_attn_layer_norm.*",
    f"{_DECODER}norms.1.*": f"{_HF_DECODER}self_attn_layer_norm.*",
    f"{_DECODER}norms.2.*": f"{_HF_DECODER}final_layer_norm.*",
    f"{_DECODER}ffns.0.layers.0.0.*": f"{_HF_DECODER}fc1.*",
    f"{_DECODER}ffns.0.layers.1.*": f"{_HF_DECODER}fc2.*",
    f"{_QUERIES}post_norm.*": f"{_HF_QUERIES}layernorm.*",
    "panoptic_head.query_embed.weight": "model.transformer_module.queries_embedder.weight",
    "panoptic_head.query_feat.weight": "model.transformer_module.queries_features.weight",
    "panoptic_head.level_embed.weight": "model.transformer_module.level_embed.weight",
    "panoptic_head.cls_embed.*": "class_predictor.*",
    **{f"panoptic_head.mask_embed.{2 * i}.*": f"{_HF_QUERIES}mask_predictor.mask_embedder.{i}.0.*" for i in range(3)},
}
_NEWER = (
    (r"(pixel_decoder\.encoder\.layers\.\d+\.)self_attn\.", r"\1attentions.0."),
    (r"(transformer_decoder\.layers\.\d+\.)cross_attn\.", r"\1attentions.0."),
    (r"(transformer_decoder\.layers\.\d+\.)self_attn\.", r"\1attentions.1."),
    (r"(panoptic_head\..*\.layers\.\d+\.)ffn\.", r"\1ffns.0."),
)
"""What mmdet 3.x calls otherwise, and 2.x's name for it."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """Tensors by transformers' name, and the names that mean nothing in this model."""

    tensors: dict[str, torch.Tensor]
    unknown: tuple[str, ...]


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.escape(form).replace(r"\#", r"(\d+)").replace(r"\*", "(weight|bias)"))


_PATTERNS = [(_pattern(form), target) for form, target in _TABLE.items()]


def to_transformers(tensors: Mapping[str, torch.Tensor]) -> Renamed:
    """mmdet's tensors, of 2.x or 3.x, under transformers' names and in its order."""
    renamed, unknown = dict[str, torch.Tensor](), []
    for name, tensor in tensors.items():
        target = _target(name)
        if target is None or tensor.dim() == 0:
            unknown.append(name)
        elif "[qkv]" in target:
            parts = zip("qkv", tensor.chunk(3), strict=False)
            renamed |= {target.replace("[qkv]", letter): part for letter, part in parts}
        else:
            renamed[target] = _by_patch(tensor) if ".downsample." in target else tensor
    return Renamed(renamed, tuple(unknown))


def _target(name: str) -> str | None:
    for newer, older in _NEWER:
        name = re.sub(newer, older, name)
    for pattern, target in _PATTERNS:
        if match := pattern.fullmatch(name):
            literal, *gaps = re.split(r"[#*]", target)
            return literal + "".join(group + gap for group, gap in zip(match.groups(), gaps, strict=True))
    return None


def _by_patch(tensor: torch.Tensor) -> torch.Tensor:
    """The last axis, 4 times the channels: from (channel, row, column) to (column, row, channel)."""
    if tensor.shape[-1] % 4:
        return tensor  # is found misshapen afterwards
    by_channel = tensor.reshape(*tensor.shape[:-1], -1, 2, 2)
    return by_channel.movedim((-1, -2), (-3, -2)).flatten(-3)
