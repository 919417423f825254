"""The feature pyramid over either trunk: five maps of equal width, from an eighth to a 128th of the picture.

Shapes: N pictures, C channels of the pyramid, H and W of the padded picture in pixels.
Source: detectron2 `modeling/backbone/fpn.py`, UniDet `modeling/backbone/fpn_p5.py`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from gotr1_eval.models.detectors.unidet.architecture import Architecture
from gotr1_eval.models.detectors.unidet.layers import ConvNorm
from gotr1_eval.models.detectors.unidet.resnest import build_resnest
from gotr1_eval.models.detectors.unidet.resnet import EXPANSION, build_resnet

MULTIPLE = 32
"""Sides of a picture must be multiples of this, so that a map is exactly twice as large as the next."""


class TopBlock(nn.Module):
    """The two smallest maps, made of the pyramid's `p5` and not of the trunk."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, p5_NCHW: torch.Tensor) -> list[torch.Tensor]:
        """`p6` and `p7`; only what goes on to `p7` is cut off at zero."""
        p6 = self.p6(p5_NCHW)
        return [p6, self.p7(relu(p6))]


class Pyramid(nn.Module):
    """Trunk and pyramid; the names of the layers are those of the checkpoints."""

    fpn_lateral3: ConvNorm
    fpn_lateral4: ConvNorm
    fpn_lateral5: ConvNorm
    fpn_output3: ConvNorm
    fpn_output4: ConvNorm
    fpn_output5: ConvNorm

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        build = build_resnet if architecture.trunk == "resnet" else build_resnest
        self.bottom_up = build(architecture.blocks, architecture.width)
        for level in (3, 4, 5):
            inputs = EXPANSION * architecture.width << level - 2
            lateral = ConvNorm(inputs, architecture.channels, kernel=1, normed=architecture.normed)
            output = ConvNorm(architecture.channels, architecture.channels, kernel=3, normed=architecture.normed)
            setattr(self, f"fpn_lateral{level}", lateral)
            setattr(self, f"fpn_output{level}", output)
        self.top_block = TopBlock(architecture.channels)

    def forward(self, pixels_N3HW: torch.Tensor) -> list[torch.Tensor]:
        """`p3` to `p7`, each [N, C, H / s, W / s] for s = 8, 16, 32, 64, 128 (rounded up)."""
        res3, res4, res5 = self.bottom_up(pixels_N3HW)
        inner5 = self.fpn_lateral5(res5)
        inner4 = self.fpn_lateral4(res4) + interpolate(inner5, scale_factor=2.0, mode="nearest")
        inner3 = self.fpn_lateral3(res3) + interpolate(inner4, scale_factor=2.0, mode="nearest")
        p5 = self.fpn_output5(inner5)
        return [self.fpn_output3(inner3), self.fpn_output4(inner4), p5, *self.top_block(p5)]
