"""UniDet's backbone: ResNet-50 or ResNeSt-200 (arXiv 2004.08955) under a feature pyramid.

Every convolution has a normalisation of fixed statistics. UniDet R50's residual network has the stride in a block's
first 1x1 convolution, as in its first release; RS200's has radix 2 and one cardinal group.

Shapes: N pictures, C channels (inside a block, or of the pyramid), H and W cells of a feature map, or pixels of the
padded picture.
Source: detectron2 `modeling/backbone/resnet.py` (`STRIDE_IN_1X1`) and `fpn.py`; UniDet `modeling/backbone/resnest.py`,
`splat.py` and `fpn_p5.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu

from gotr1_eval.models.detectors.unidet.architecture import Architecture

_EPSILON = 1e-5


class FixedNorm(nn.Module):
    """Batch normalisation with the statistics of the checkpoint.

    Whether training kept them frozen or not shows in nothing but a counter that inference does not need, so that one
    class serves both. The sums are left to `batch_norm`: folding them into the convolution would round differently
    from the reference.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels))

    def forward(self, cells_NCHW: torch.Tensor) -> torch.Tensor:
        """The same shape; each channel shifted and scaled."""
        return functional.batch_norm(
            cells_NCHW, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=_EPSILON
        )


class ConvNorm(nn.Conv2d):
    """A convolution that keeps the size of the map (over `stride`), followed by its own norm.

    The norm is a child named `norm` of the convolution, as in the checkpoints; `normed=False` has a bias instead.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, normed: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, bias=not normed)
        self.norm: nn.Module = FixedNorm(outputs) if normed else nn.Identity()

    def forward(self, cells_NCHW: torch.Tensor) -> torch.Tensor:
        """[N, outputs, ceil(H / stride), ceil(W / stride)]."""
        normed: torch.Tensor = self.norm(super().forward(cells_NCHW))
        return normed


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


class SplitAttentionBlock(nn.Module):
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
    return Trunk(DeepStem(width), SplitAttentionBlock, 2 * width, blocks, width)


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
