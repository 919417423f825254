"""The trunk of UniDet R50: ResNet-50 with the stride in a block's first 1x1 convolution, as in its first release.

Shapes: N pictures, C channels, H and W cells of a feature map.
Source: detectron2 `modeling/backbone/resnet.py` (`STRIDE_IN_1X1`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.functional import max_pool2d, relu

from gotr1_eval.models.detectors.unidet.layers import ConvNorm

EXPANSION = 4
"""Channels that leave a block, as a multiple of those inside."""


class Stem(nn.Module):
    """Picture to map of a quarter of its size."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, outputs, kernel=7, stride=2)

    def forward(self, pixels_N3HW: torch.Tensor) -> torch.Tensor:
        """[N, outputs, H / 4, W / 4]."""
        return max_pool2d(relu(self.conv1(pixels_N3HW)), kernel_size=3, stride=2, padding=1)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, which is a convolution only where the shape changes."""

    def __init__(self, inputs: int, inside: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * inside
        self.conv1 = ConvNorm(inputs, inside, kernel=1, stride=stride)
        self.conv2 = ConvNorm(inside, inside, kernel=3)
        self.conv3 = ConvNorm(inside, outputs, kernel=1)
        changes = stride != 1 or inputs != outputs
        self.shortcut: nn.Module = ConvNorm(inputs, outputs, kernel=1, stride=stride) if changes else nn.Identity()

    def forward(self, cells_NCHW: torch.Tensor) -> torch.Tensor:
        """[N, 4 * inside, H / stride, W / stride]."""
        inner = self.conv3(relu(self.conv2(relu(self.conv1(cells_NCHW)))))
        return relu(inner + self.shortcut(cells_NCHW))


class Trunk(nn.Module):
    """A stem and four stages `res2` to `res5`; the last three feed the pyramid.

    Args:
        stem: what makes the first map.
        block: builds a block from the channels that enter it, those inside, and its stride.
        inputs: channels that leave the stem.
        blocks: of each stage.
        width: channels inside the first stage's blocks.
    """

    res2: nn.Sequential
    res3: nn.Sequential
    res4: nn.Sequential
    res5: nn.Sequential

    def __init__(
        self,
        stem: nn.Module,
        block: Callable[[int, int, int], nn.Module],
        inputs: int,
        blocks: Sequence[int],
        width: int,
    ) -> None:
        super().__init__()
        self.stem = stem
        for number, count in enumerate(blocks):
            inside, stride = width << number, 1 if number == 0 else 2
            rest = [block(EXPANSION * inside, inside, 1) for _ in range(count - 1)]
            setattr(self, f"res{number + 2}", nn.Sequential(block(inputs, inside, stride), *rest))
            inputs = EXPANSION * inside

    def forward(self, pixels_N3HW: torch.Tensor) -> list[torch.Tensor]:
        """The maps of `res3`, `res4` and `res5`, [N, C, H / s, W / s] for s = 8, 16 and 32."""
        cells = self.res2(self.stem(pixels_N3HW))
        maps = []
        for stage in (self.res3, self.res4, self.res5):
            cells = stage(cells)
            maps.append(cells)
        return maps


def build_resnet(blocks: Sequence[int], width: int) -> Trunk:
    """ResNet; (3, 4, 6, 3) blocks and width 64 are ResNet-50."""
    return Trunk(Stem(width), Bottleneck, width, blocks, width)
