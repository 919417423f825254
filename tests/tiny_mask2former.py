"""A random Mask2Former of the true class, in transformers' layout and in OpenMMLab's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from gotr1_eval.core.coco import NAMES

SWIN = "model.pixel_level_module.encoder.swin."
PIXELS = "model.pixel_level_module.decoder."
QUERIES = "model.transformer_module.decoder."


def tiny_config(classes: int = len(NAMES)) -> Mask2FormerConfig:
    swin = {
        "model_type": "swin", "image_size": 32, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2],
        "window_size": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }  # fmt: skip
    return Mask2FormerConfig(
        backbone_config=swin, feature_size=64, mask_feature_size=64, hidden_dim=64, num_attention_heads=2,
        encoder_layers=1, encoder_feedforward_dim=32, decoder_layers=3, dim_feedforward=32, num_queries=12,
        num_labels=classes,
    )  # fmt: skip


def tiny_model(classes: int = len(NAMES)) -> Any:
    """Weights large enough that queries differ and that there are scores on both sides of a half."""
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(tiny_config(classes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
            elif not name.endswith("weight"):
                parameter.copy_(0.1 * torch.randn_like(parameter))
        model.class_predictor.weight.mul_(5)
    return model


def write_folder(folder: Path, classes: int = len(NAMES)) -> Any:
    model = tiny_model(classes)
    model.save_pretrained(folder)
    return model


def by_channel(merged: torch.Tensor) -> torch.Tensor:
    """Element by element from transformers' order of four patches to mmdet's: 4 channel + 2 row + column."""
    channels = merged.shape[-1] // 4
    result = torch.empty_like(merged)
    for channel in range(channels):
        for row in range(2):
            for column in range(2):
                result[..., 4 * channel + 2 * row + column] = merged[..., (2 * column + row) * channels + channel]
    return result


def mmdet_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The model's weights under the names of mmdet 2.x, put together where the loader takes apart."""
    theirs = dict(model.state_dict())
    made: dict[str, torch.Tensor] = {}

    def both(mmdet: str, transformers: str) -> None:
        for kind in ("weight", "bias"):
            made[f"{mmdet}.{kind}"] = theirs[f"{transformers}.{kind}"]

    def joined(mmdet: str, transformers: str, kind: str) -> None:
        made[mmdet] = torch.cat([theirs[f"{transformers}.{part}_proj.{kind}"] for part in "qkv"])

    both("backbone.patch_embed.projection", f"{SWIN}embeddings.patch_embeddings.projection")
    both("backbone.patch_embed.norm", f"{SWIN}embeddings.norm")
    for stage in range(4):
        both(f"backbone.norm{stage}", f"model.pixel_level_module.encoder.hidden_states_norms.stage{stage + 1}")
        ours, block = f"backbone.stages.{stage}.blocks.0.", f"{SWIN}encoder.layers.{stage}.blocks.0."
        table = f"{block}attention.relative_position_bias."
        made[f"{ours}attn.w_msa.relative_position_bias_table"] = theirs[f"{table}relative_position_bias_table"]
        index = dict(model.named_buffers())[f"{table}relative_position_index"]
        made[f"{ours}attn.w_msa.relative_position_index"] = index.view(16, 16)
        for kind in ("weight", "bias"):
            joined(f"{ours}attn.w_msa.qkv.{kind}", f"{block}attention", kind)
        both(f"{ours}attn.w_msa.proj", f"{block}attention.o_proj")
        both(f"{ours}norm1", f"{block}layernorm_before")
        both(f"{ours}norm2", f"{block}layernorm_after")
        both(f"{ours}ffn.layers.0.0", f"{block}mlp.fc1")
        both(f"{ours}ffn.layers.1", f"{block}mlp.fc2")
        if stage < 3:
            for part in ("norm.weight", "norm.bias", "reduction.weight"):
                merged = theirs[f"{SWIN}encoder.layers.{stage}.downsample.{part}"]
                made[f"backbone.stages.{stage}.downsample.{part}"] = by_channel(merged)
    pixels = "panoptic_head.pixel_decoder."
    for level in range(3):
        both(f"{pixels}input_convs.{level}.conv", f"{PIXELS}input_projections.{level}.0")
        both(f"{pixels}input_convs.{level}.gn", f"{PIXELS}input_projections.{level}.1")
    for part in ("sampling_offsets", "attention_weights", "value_proj", "output_proj"):
        both(f"{pixels}encoder.layers.0.attentions.0.{part}", f"{PIXELS}encoder.layers.0.self_attn.{part}")
    both(f"{pixels}encoder.layers.0.norms.0", f"{PIXELS}encoder.layers.0.self_attn_layer_norm")
    both(f"{pixels}encoder.layers.0.norms.1", f"{PIXELS}encoder.layers.0.final_layer_norm")
    both(f"{pixels}encoder.layers.0.ffns.0.layers.0.0", f"{PIXELS}encoder.layers.0.fc1")
    both(f"{pixels}encoder.layers.0.ffns.0.layers.1", f"{PIXELS}encoder.layers.0.fc2")
    made[f"{pixels}level_encoding.weight"] = theirs[f"{PIXELS}level_embed"]
    made[f"{pixels}lateral_convs.0.conv.weight"] = theirs[f"{PIXELS}adapter_1.0.weight"]
    both(f"{pixels}lateral_convs.0.gn", f"{PIXELS}adapter_1.1")
    made[f"{pixels}output_convs.0.conv.weight"] = theirs[f"{PIXELS}layer_1.0.weight"]
    both(f"{pixels}output_convs.0.gn", f"{PIXELS}layer_1.1")
    both(f"{pixels}mask_feature", f"{PIXELS}mask_projection")
    for layer in range(2):
        ours, block = f"panoptic_head.transformer_decoder.layers.{layer}.", f"{QUERIES}layers.{layer}."
        for kind in ("weight", "bias"):
            made[f"{ours}attentions.0.attn.in_proj_{kind}"] = theirs[f"{block}cross_attn.in_proj_{kind}"]
            joined(f"{ours}attentions.1.attn.in_proj_{kind}", f"{block}self_attn", kind)
        both(f"{ours}attentions.0.attn.out_proj", f"{block}cross_attn.out_proj")
        both(f"{ours}attentions.1.attn.out_proj", f"{block}self_attn.out_proj")
        for place, norm in enumerate(("cross_attn_layer_norm", "self_attn_layer_norm", "final_layer_norm")):
            both(f"{ours}norms.{place}", f"{block}{norm}")
        both(f"{ours}ffns.0.layers.0.0", f"{block}fc1")
        both(f"{ours}ffns.0.layers.1", f"{block}fc2")
    both("panoptic_head.transformer_decoder.post_norm", f"{QUERIES}layernorm")
    embeddings = {"query_embed": "queries_embedder", "query_feat": "queries_features", "level_embed": "level_embed"}
    for ours, name in embeddings.items():
        made[f"panoptic_head.{ours}.weight"] = theirs[f"model.transformer_module.{name}.weight"]
    both("panoptic_head.cls_embed", "class_predictor")
    for layer in range(3):
        both(f"panoptic_head.mask_embed.{2 * layer}", f"{QUERIES}mask_predictor.mask_embedder.{layer}.0")
    return {name: tensor.clone() for name, tensor in made.items()}


def as_in_3x(name: str) -> str:
    """What mmdet 3.x calls a tensor of 2.x."""
    name = name.replace("ffns.0.", "ffn.") if name.startswith("panoptic_head") else name
    if "pixel_decoder" in name:
        return name.replace("attentions.0.", "self_attn.")
    return name.replace("attentions.0.", "cross_attn.").replace("attentions.1.", "self_attn.")
