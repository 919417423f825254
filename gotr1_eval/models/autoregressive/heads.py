"""The heads of a generator, from states to float32 logits; sampler and trainer read them through the same functions.

A logit of 20 in bfloat16 is rounded to an eighth, and guidance multiplies what was lost: with weights and states of
half precision only the *result* of a head has to be float32. On a GPU that costs nothing, since the product sums in
float32 anyway; a processor multiplies float32 copies.

Shape suffixes: N positions, D width of the model, V vocabulary or codebook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gotr1_eval.models.local_model import compute_dtype, without_autocast

Head = Callable[[Tensor], Tensor]
"""From states [N, D] to float32 logits [N, V]."""


def float32_head(head: Any, tokens: slice = slice(None)) -> Head:  # noqa: ANN401 - transformers is untyped
    """The head as its weights are now: a linear layer, or Janus's of image tokens (two with an activation between).

    Under autocast states and weights are rounded to its type, the weights once, here. What lies between the two layers
    of the image head stays in float32.

    Args:
        tokens: of a linear layer's outputs those whose logits are wanted; the others are not computed.
    """
    if type(head) is nn.Linear:
        return _linear(head, rounded=True, tokens=tokens)
    if hasattr(head, "vision_head") and type(head.vision_head) is type(head.proj_out) is nn.Linear:
        inner, outer = _linear(head.proj_out, rounded=True), _linear(head.vision_head, rounded=False)
        return lambda states_ND: outer(head.activation_fn(inner(states_ND)))
    return lambda states_ND: head(states_ND).float()[:, tokens]


def _linear(layer: nn.Linear, *, rounded: bool, tokens: slice = slice(None)) -> Head:
    """A linear layer with a float32 result; `rounded` brings states to the weights' type first."""
    device, dtype = layer.weight.device.type, compute_dtype(layer.weight)
    weight_VD = layer.weight[tokens].to(dtype)
    bias_V: Tensor | None = layer.bias
    # A processor has no product of half precision with a float32 result.
    if device == "cpu":
        weight_VD = weight_VD.float()

    def product(states_ND: Tensor) -> Tensor:
        with without_autocast(device):
            product_NV = _product(states_ND.to(dtype) if rounded else states_ND, weight_VD)
            return product_NV if bias_V is None else product_NV + bias_V[tokens].float()

    return product


def _product(states_ND: Tensor, weight_VD: Tensor) -> Tensor:
    if weight_VD.dtype == torch.float32:
        return functional.linear(states_ND.float(), weight_VD)
    if states_ND.dtype == weight_VD.dtype:
        product_NV: Tensor = _Float32Product.apply(states_ND, weight_VD)  # type: ignore[no-untyped-call]
        return product_NV
    # What rounding takes from float32 states goes through the same product beside them: the weights are read once.
    high_ND = states_ND.to(weight_VD.dtype)
    low_ND = (states_ND - high_ND).detach().to(weight_VD.dtype)
    high_NV, low_NV = _product(torch.cat([high_ND, low_ND]), weight_VD).chunk(2)
    return high_NV + low_NV


class _Float32Product(torch.autograd.Function):
    """A product of half precision with a float32 result, on a GPU; its gradients come in half precision."""

    @staticmethod
    def forward(ctx: Any, states_ND: Tensor, weight_VD: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(states_ND, weight_VD)
        return torch.mm(states_ND, weight_VD.t(), out_dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, gradient_NV: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        states_ND, weight_VD = ctx.saved_tensors
        rounded_NV = gradient_NV.to(weight_VD.dtype)
        wanted_states, wanted_weight = ctx.needs_input_grad
        return (
            rounded_NV @ weight_VD if wanted_states else None,
            rounded_NV.t() @ states_ND if wanted_weight else None,
        )
