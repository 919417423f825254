"""The trunk of UniDet RS200: ResNeSt-200 (arXiv 2004.08955), radix 2, one cardinal group.

Shapes: N pictures, C channels inside a block, H and W cells of a feature map.
Source: UniDet `modeling/backbone/resnest.py` and `splat.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from gotr1_eval.models.detectors.unidet.layers import ConvNorm, FixedNorm
from gotr1_eval.models.detectors.unidet.resnet import EXPANSION, Trunk

RADIX = 2
_LEAST_ATTENTION = 32


class DeepStem(nn.Module):
    """Three 3x3 convolutions in place of ResNet's one of 7x7."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1_1 = ConvNorm(3, width, kernel=3, stride=2)
        self.conv1_2 = ConvNorm(width, width, kernel=3)
        self.conv1_3 = ConvNorm(width, 2 * width, kernel=3)

    def forward(self, pixels_N3HW: torch.Tensor) -> torch.Tensor:
        """[N, 2 * width, H / 4, W / 4]."""
        cells = relu(self.conv1_3(relu(self.conv1_2(relu(self.conv1_1(pixels_N3HW))))))
        return max_pool2d(cells, kernel_size=3, stride=2, padding=1)


class SplitAttention(nn.Module):
    """Two candidates for every channel, mixed by weights that the whole map decides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels * RADIX // 4, _LEAST_ATTENTION)
        self.conv = nn.Conv2d(channels, channels * RADIX, 3, padding=1, groups=RADIX, bias=False)
        self.bn0 = FixedNorm(channels * RADIX)
        self.fc1 = nn.Conv2d(channels, inner, 1)
        self.bn1 = FixedNorm(inner)
        self.fc2 = nn.Conv2d(inner, channels * RADIX, 1)

    def forward(self, cells_NCHW: torch.Tensor) -> torch.Tensor:
        """The same shape; nothing is cut off at zero after the mixing."""
        halves = relu(self.bn0(self.conv(cells_NCHW))).chunk(RADIX, dim=1)
        gap_NC11 = (halves[0] + halves[1]).mean((2, 3), keepdim=True)
        weights = self.fc2(relu(self.bn1(self.fc1(gap_NC11))))
        weights_N2C11 = weights.unflatten(1, (RADIX, -1)).softmax(dim=1)
        mixed_NCHW: torch.Tensor = halves[0] * weights_N2C11[:, 0] + halves[1] * weights_N2C11[:, 1]
        return mixed_NCHW


class Block(nn.Module):
    """A bottleneck around split attention; what has a stride averages instead of skipping.

    The average before `conv3` counts the padding, that of the shortcut does not.
    """

    def __init__(self, inputs: int, inside: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * inside
        self.stride = stride
        self.conv1 = ConvNorm(inputs, inside, kernel=1)
        self.conv2 = SplitAttention(inside)
        self.conv3 = ConvNorm(inside, outputs, kernel=1)
        changes = stride != 1 or inputs != outputs
        self.shortcut: nn.Module = ConvNorm(inputs, outputs, kernel=1) if changes else nn.Identity()

    def forward(self, cells_NCHW: torch.Tensor) -> torch.Tensor:
        """[N, 4 * inside, H / stride, W / stride]."""
        inner, beside = self.conv2(relu(self.conv1(cells_NCHW))), cells_NCHW
        if self.stride > 1:
            inner = avg_pool2d(inner, kernel_size=3, stride=self.stride, padding=1)
            beside = avg_pool2d(beside, self.stride, ceil_mode=True, count_include_pad=False)
        return relu(self.conv3(inner) + self.shortcut(beside))


def build_resnest(blocks: Sequence[int], width: int) -> Trunk:
    """ResNeSt; (3, 24, 36, 3) blocks and width 64 are ResNeSt-200."""
    return Trunk(DeepStem(width), Block, 2 * width, blocks, width)
