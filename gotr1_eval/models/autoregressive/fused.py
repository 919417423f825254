"""Linear layers of a LLaMA as a decode step wants them: those that read the same input in one product.

A step of one token reads all weights and computes little, so that it costs what its calls cost. Queries, keys and
values are one product here, gate and up another, and adapters that are not in the weights come as one pair of factors
a product. In float32 every number is what the layers one by one give, bit for bit (tests compare them).

Shape suffixes: R ranks (of all adapters of a product), D width of the input, O width of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gotr1_eval.models.autoregressive.adapted_linear import AdaptedLinear

SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that read the same input, of the attention and of the MLP."""


@dataclass(frozen=True, slots=True)
class Product:
    """One product for several linear layers of the same input, their outputs side by side.

    Attributes:
        weight_OD: of all layers; with `beside_RD` it has the factors `up` behind its columns, as in `AdaptedLinear`.
        down_RD, up_RO: adapters of training, whose share is added to the rounded product, as the trainer adds it.
        beside_RD: the factors `down` of adapters whose `up` lies in the weight.
    """

    weight_OD: Tensor
    bias_O: Tensor | None = None
    down_RD: Tensor | None = None
    up_RO: Tensor | None = None
    beside_RD: Tensor | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """[..., D] of any type to [..., O] of the weight's."""
        inputs = inputs.to(self.weight_OD.dtype)
        whole = inputs
        if self.beside_RD is not None:
            whole = torch.cat([inputs, functional.linear(inputs, self.beside_RD)], dim=-1)
        product = functional.linear(whole, self.weight_OD, self.bias_O)
        if self.down_RD is None or self.up_RO is None:
            return product
        low_rank = functional.linear(inputs, self.down_RD).flatten(0, -2)
        return torch.addmm(product.flatten(0, -2), low_rank, self.up_RO).view_as(product)


@dataclass(frozen=True, slots=True)
class FusedLayer:
    """The four products of a layer: queries, keys and values; their output; gate and up; down."""

    qkv: Product
    out: Product
    gate_up: Product
    down: Product


def fused_layer(layer: Any, dtype: torch.dtype) -> FusedLayer:  # noqa: ANN401 - transformers is untyped
    """The products of one layer as its weights are now, in this type; adapters that are switched off are left out.

    Weights that lie side by side already, and in this type, are read where they are; others are copied.
    """
    attention, mlp = layer.self_attn, layer.mlp
    qkv, gate_up = (
        [parent.get_submodule(name) for name in names]
        for parent, names in zip((attention, mlp), SAME_INPUT, strict=True)
    )
    groups = (qkv, [attention.o_proj], gate_up, [mlp.down_proj])
    return FusedLayer(*(_product(group, dtype) for group in groups))


def prepare_language_model(language_model: Any) -> None:  # noqa: ANN401
    """Make a LLaMA as it was read ready for sampling and training; it computes the same.

    The weights of queries, keys and values move next to each other in memory, and so do those of gate and up: a step
    reads them in one product without a copy. The norms become torch's own: one call, equal to transformers' bit for
    bit in float32, and rounded once instead of twice in half precision.
    """
    language_model.norm = _one_call(language_model.norm)
    for layer in language_model.layers:
        layer.input_layernorm = _one_call(layer.input_layernorm)
        layer.post_attention_layernorm = _one_call(layer.post_attention_layernorm)
        for parent, names in zip((layer.self_attn, layer.mlp), SAME_INPUT, strict=True):
            linears = [parent.get_submodule(name) for name in names]
            together = torch.cat([linear.weight.data for linear in linears])
            parts = torch.split(together, [len(linear.weight) for linear in linears])
            for linear, part in zip(linears, parts, strict=True):
                linear.weight.data = part


def _one_call(norm: Any) -> nn.RMSNorm:  # noqa: ANN401
    """The same norm with the same weight; itself where it is one already."""
    if isinstance(norm, nn.RMSNorm):
        return norm
    made = nn.RMSNorm(norm.weight.shape[0], eps=norm.variance_epsilon, elementwise_affine=True, device="meta")
    made.weight = norm.weight
    return made.train(norm.training)


def _product(group: Sequence[Any], dtype: torch.dtype) -> Product:
    bases = [_base(linear) for linear in group]
    weight_OD = _side_by_side([base.weight.detach() for base in bases]).to(dtype)
    biases = [base.bias for base in bases]
    bias_O = None
    if any(bias is not None for bias in biases):
        filled = [weight_OD.new_zeros(len(base.weight)) if base.bias is None else base.bias.detach() for base in bases]
        bias_O = torch.cat(filled).to(dtype)
    beside_RD = bases[0].down_RD if isinstance(bases[0], AdaptedLinear) else None
    pairs = [pair for linear in group for pair in _adapters(linear)]
    if not pairs:
        return Product(weight_OD, bias_O, beside_RD=beside_RD)
    down_RD = torch.cat([down for linear in group for down, _ in _adapters(linear)]).to(dtype)
    ups = [torch.cat([up for _, up in _adapters(linear)], dim=1) if _adapters(linear) else None for linear in group]
    blocks = [
        base.weight.new_zeros(len(base.weight), 0) if up is None else up for base, up in zip(bases, ups, strict=True)
    ]
    together_OR: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    up_RO = together_OR.to(dtype).t().contiguous()
    return Product(weight_OD, bias_O, down_RD, up_RO, beside_RD)


def _base(linear: Any) -> Any:  # noqa: ANN401
    """The linear layer itself, without peft's wrapper."""
    return linear.get_base_layer() if hasattr(linear, "get_base_layer") else linear


def _adapters(linear: Any) -> list[tuple[Tensor, Tensor]]:  # noqa: ANN401
    """The factors of peft's adapters that act beside the weights now; the scale lies in the second, [O, R]."""
    if not hasattr(linear, "lora_A") or linear.disable_adapters or linear.merged:
        return []
    return [
        (linear.lora_A[name].weight.detach(), linear.lora_B[name].weight.detach() * linear.scaling[name])
        for name in linear.active_adapters
        if name in linear.lora_A
    ]


def _side_by_side(weights: Sequence[Tensor]) -> Tensor:
    """The weights as one matrix: a view where they are neighbours in memory, else a copy."""
    first = weights[0]
    neighbours = all(
        one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
        and other.storage_offset() == one.storage_offset() + one.numel()
        for one, other in pairwise(weights)
    )
    if not neighbours or not all(weight.is_contiguous() for weight in weights) or first.device.type == "meta":
        return torch.cat(list(weights)) if len(weights) > 1 else first
    rows = sum(len(weight) for weight in weights)
    return first.as_strided((rows, first.shape[1]), (first.shape[1], 1), first.storage_offset())
