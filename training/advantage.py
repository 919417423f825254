"""From rewards to advantages: how much better a sample is than the others of its prompt (paper section 4).

Shape suffixes: P prompts, G samples of a prompt (the group).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Scale = Literal["group", "batch", "none"]
EPSILON = 1e-4
"""Added to the spread before dividing."""


@dataclass(frozen=True, slots=True)
class Advantages:
    """What the policy learns from.

    Attributes:
        values_PG: float32; 0 where a sample teaches nothing.
        learned_PG: bool: a scored sample of a group that was kept.
        too_few: groups dropped because fewer than two of their samples were scored.
        too_even: groups dropped because their rewards differ by less than `min_spread` allows.
    """

    values_PG: Tensor
    learned_PG: Tensor
    too_few: int
    too_even: int


def group_advantages(
    rewards_PG: Tensor, scored_PG: Tensor, *, scale: Scale = "group", min_spread: float = 1e-3
) -> Advantages:
    """(reward - group's mean) / (spread + 1e-4), over the scored samples of each group alone.

    Args:
        rewards_PG: float; whatever stands where `scored_PG` is False is never read.
        scored_PG: bool.
        scale: the spread divided by: the group's standard deviation (with n - 1), that of all kept samples' centred
            rewards, or none.
        min_spread: least difference between the best and the worst reward of a group, as a share of the largest
            reward (by size) of all groups: without it, noise of a judge in the sixth digit would be blown up to
            advantages near 1. A share, since rewards differ in scale: a total with HPS's raw cosine as a factor is a
            quarter as large as one without.
    """
    rewards_PG = torch.where(scored_PG, rewards_PG, 0.0).float()
    counts_P = scored_PG.sum(dim=1)
    means_P = rewards_PG.sum(dim=1) / counts_P.clamp(min=1)
    best_P = torch.where(scored_PG, rewards_PG, -torch.inf).amax(dim=1)
    worst_P = torch.where(scored_PG, rewards_PG, torch.inf).amin(dim=1)
    few_P = counts_P < 2
    largest = rewards_PG.abs().amax()
    even_P = ~few_P & (best_P - worst_P < min_spread * torch.where(largest > 0, largest, 1.0))
    learned_PG = scored_PG & ~(few_P | even_P)[:, None]
    centred_PG = torch.where(learned_PG, rewards_PG - means_P[:, None], 0.0)
    return Advantages(
        centred_PG / _spread(centred_PG, learned_PG, scale),
        learned_PG,
        too_few=int(few_P.sum()),
        too_even=int(even_P.sum()),
    )


def _spread(centred_PG: Tensor, learned_PG: Tensor, scale: Scale) -> Tensor:
    """What the centred rewards are divided by; broadcasts against [P, G]."""
    if scale == "none":
        return torch.ones(1, 1)
    if scale == "batch":
        return (centred_PG.square().sum() / (learned_PG.sum() - 1).clamp(min=1)).sqrt() + EPSILON
    freedom_P1 = (learned_PG.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    return (centred_PG.square().sum(dim=1, keepdim=True) / freedom_P1).sqrt() + EPSILON
