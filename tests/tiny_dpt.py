"""A random DPT-Hybrid of the true classes."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BitConfig, DPTConfig, DPTForDepthEstimation

TRAINED, SIDE = 64, 96
"""Pixels a side that the table of positions is for, and those that tests let the model see."""


def tiny_config(side: int) -> DPTConfig:
    backbone = BitConfig(
        embedding_size=32, hidden_sizes=[32, 64, 96], depths=[1, 1, 1], layer_type="bottleneck", global_padding="same",
        embedding_dynamic_padding=True, num_groups=4, out_features=["stage1", "stage2", "stage3"],
    )  # fmt: skip
    return DPTConfig(
        is_hybrid=True, backbone_config=backbone, backbone_featmap_shape=[1, 96, side // 16, side // 16],
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=48, image_size=side,
        patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[32, 64, 24, 24],
        fusion_hidden_size=16, use_auxiliary_head=False,
    )  # fmt: skip


def write_folder(folder: Path, seed: int = 0) -> Path:
    """The checkpoint."""
    torch.manual_seed(seed)
    model = DPTForDepthEstimation(tiny_config(TRAINED)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 or "position" in name:
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
        model.head.head[-2].bias.fill_(2.0)  # or the last rectifier would make every depth 0
    model.save_pretrained(folder)
    return folder
