"""Convolutions with a normalisation of fixed statistics, which all parts of UniDet are made of.

Shapes: N pictures, C channels, H and W cells of a feature map.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

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
