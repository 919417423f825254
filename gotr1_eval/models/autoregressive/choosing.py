"""From logits to a token: guidance, temperature, top-k and top-p, and the Gumbel-max choice.

Shape suffixes: B samples, V tokens of a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gotr1_eval.models.autoregressive.noise import gumbel


@dataclass(frozen=True, slots=True)
class Choice:
    """How one token is chosen; the defaults sample from the whole softmax, as the released script does.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_k: only so many of the likeliest tokens; 0 for all.
        top_p: only the likeliest tokens that together have this probability, in (0, 1].
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def guide(conditional_BV: Tensor, unconditional_BV: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance on logits: u + guidance * (c - u)."""
    return unconditional_BV + guidance * (conditional_BV - unconditional_BV)


def scaled(logits_BV: Tensor, choice: Choice) -> Tensor:
    """Logits of the distribution that is sampled from, float32; excluded tokens have minus infinity.

    With temperature 0 those at temperature 1, so that log-probabilities mean something.
    """
    scaled_BV = logits_BV.float() / (choice.temperature or 1.0)
    if 0 < choice.top_k < scaled_BV.shape[1]:
        least_B1 = scaled_BV.topk(choice.top_k, dim=-1).values[:, -1:]
        scaled_BV = scaled_BV.masked_fill(scaled_BV < least_B1, float("-inf"))
    if choice.top_p < 1:
        sorted_BV, order_BV = scaled_BV.sort(dim=-1, descending=True)
        before_BV = sorted_BV.softmax(dim=-1).cumsum(dim=-1).roll(1, dims=-1)
        before_BV[:, 0] = 0
        excluded_BV = torch.zeros_like(scaled_BV, dtype=torch.bool).scatter(1, order_BV, before_BV >= choice.top_p)
        scaled_BV = scaled_BV.masked_fill(excluded_BV, float("-inf"))
    return scaled_BV


def choose(scaled_BV: Tensor, keys_B: Tensor, step: int | Tensor, choice: Choice) -> Tensor:
    """One token a row from `scaled` logits; int64 [B]."""
    if choice.temperature:
        scaled_BV = scaled_BV + gumbel(keys_B, step, scaled_BV.shape[1])
    return scaled_BV.argmax(dim=-1)


def log_probability(scaled_BV: Tensor, chosen_B: Tensor) -> Tensor:
    """Of the chosen tokens, under the distribution of the `scaled` logits; float32 [B]."""
    return scaled_BV.gather(1, chosen_B[:, None])[:, 0] - scaled_BV.logsumexp(dim=-1)
