"""A linear layer of half precision whose adapters stay beside its weights.

Shape suffixes: R ranks (of all adapters, and zeros up to a multiple of 8), D width, O width of the output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_ALIGNED = 8
"""A matrix product in half precision wants its inner length in multiples of this."""


class AdaptedLinear(nn.Linear):
    """A linear layer of half precision with adapters beside its weights: y = [x, x down] [weight, up].

    One product sums both in float32 and rounds once. To add the adapters' share to what the layer has rounded already
    would lose what adding them to the weights loses: a share of less than half a last digit.

    Args:
        base: the layer; one that has adapters keeps them.
        down_RD, up_OR: float32, `balanced`.
    """

    def __init__(self, base: nn.Linear, down_RD: Tensor, up_OR: Tensor) -> None:
        super().__init__(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        before = [base.down_RD] if isinstance(base, AdaptedLinear) else []
        self.down_RD: Tensor
        self.register_buffer("down_RD", torch.cat([*before, down_RD.to(base.weight)]))
        self.weight = nn.Parameter(torch.cat([base.weight, up_OR.to(base.weight)], dim=1), requires_grad=False)
        self.bias = base.bias
        self.train(base.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - named as nn.Linear names it
        """[..., D] to [..., O]."""
        return functional.linear(
            torch.cat([input, functional.linear(input, self.down_RD)], dim=-1), self.weight, self.bias
        )


def balanced(down_RD: Tensor, up_OR: Tensor) -> tuple[Tensor, Tensor]:
    """The same product from factors of like size, lest float16 underflow, with zeros up to the aligned rank.

    The adapters' scale may lie in either.
    """
    ratio_R = up_OR.abs().amax(dim=0) / down_RD.abs().amax(dim=1)
    steps_R = torch.where(ratio_R.isfinite() & (ratio_R > 0), ratio_R, 1.0).log2().div(2).round()
    down_RD, up_OR = down_RD * steps_R.exp2()[:, None], up_OR * (-steps_R).exp2()
    short = -len(down_RD) % _ALIGNED
    return functional.pad(down_RD, (0, 0, 0, short)), functional.pad(up_OR, (0, short))
