"""The tensors of OpenMMLab's Mask2Former under the names of transformers' `Mask2FormerForUniversalSegmentation`.

In the tables ``#`` is a number and ``*`` is ``weight`` or ``bias``; ``[qkv]`` cuts a tensor into the three of query,
key and value. One kind of tensor is reordered: mmdet merges 2x2 patches channel by channel, transformers patch by
patch. The names are those of transformers 5's modules (4's differ).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

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
