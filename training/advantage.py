"""From rewards to advantages: how much better a sample is than the others of its prompt (paper section 4).

Shape suffixes: P prompts, G samples of a prompt (the group).
"""

from __future__ import annotations

from collections.abc import Mapping
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

    def without(self, left_out_PG: Tensor) -> Advantages:
        """The same, but that these samples (bool) are not learned from; they stay in their groups' means."""
        learned_PG = self.learned_PG & ~left_out_PG
        return Advantages(torch.where(learned_PG, self.values_PG, 0.0), learned_PG, self.too_few, self.too_even)


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


def decoupled_advantages(
    rewards: Mapping[str, tuple[Tensor, Tensor]],
    applies: Mapping[str, Tensor],
    weights: Mapping[str, float],
    *,
    min_spread: float = 1e-3,
    missing: Literal["leave_out", "average"] = "leave_out",
) -> Advantages:
    """GDPO: each judge's advantages within the group, added by weight, then brought to mean 0 and spread 1.

    arXiv 2601.05242, section 3: A = sum over judges of w (r - group's mean) / (group's spread + 1e-4), then over the
    step (A - mean of all) / (spread of all + 1e-4). It takes the place of a total: samples that a product makes equal
    stay apart. A judge whose group is even, or has fewer than two scores, adds nothing there; a group in which none
    adds is dropped.

    Args:
        rewards: factor -> (values, scored), both [P, G].
        applies: factor -> bool [P, G]: whether the sample is the judge's to score at all. One that is not gets 0 of it.
        weights: factor -> w; 1 for a factor that is not named.
        missing: of a sample that a judge which applies has not scored: it is left out, or gets the 0 of an average
            one from that judge. The first is the default, since a picture that breaks a judge is rarely average.
    """
    shape = next(iter(applies.values())).shape
    total_PG, taught_P = torch.zeros(shape), torch.zeros(shape[0], dtype=torch.bool)
    some_PG, whole_PG = torch.zeros(shape, dtype=torch.bool), torch.ones(shape, dtype=torch.bool)
    for factor, (_, scored_PG) in rewards.items():
        some_PG |= scored_PG
        whole_PG &= scored_PG | ~applies[factor]
    in_group_PG = some_PG & whole_PG if missing == "leave_out" else some_PG
    for factor, (values_PG, scored_PG) in rewards.items():
        found = group_advantages(values_PG, scored_PG & in_group_PG, min_spread=min_spread)
        total_PG = total_PG + weights.get(factor, 1.0) * found.values_PG
        taught_P |= found.learned_PG.any(dim=1)
    few_P = in_group_PG.sum(dim=1) < 2
    learned_PG = in_group_PG & (taught_P & ~few_P)[:, None]
    kept_N = total_PG[learned_PG]
    centre = kept_N.mean() if len(kept_N) else torch.zeros(())
    centred_PG = torch.where(learned_PG, total_PG - centre, 0.0)
    return Advantages(
        centred_PG / _spread(centred_PG, learned_PG, "batch"),
        learned_PG,
        too_few=int(few_P.sum()),
        too_even=int((~few_P & ~taught_P).sum()),
    )


def punish_long_chains(rewards_PG: Tensor, tokens_PG: Tensor, cap: int, soft: int, penalty: float) -> Tensor:
    """Rewards less up to `penalty` for chains within `soft` tokens of the cap: none, then linear, all of it at the cap.

    DAPO's soft overlong punishment, arXiv 2503.14476, section 3.4, where penalty is 1 and `soft` the cache.

    Args:
        tokens_PG: of the chains as they were sampled; a chain that hit the cap has `cap` of them.
    """
    over_PG = ((tokens_PG - (cap - soft)) / soft).clamp(0.0, 1.0)
    return rewards_PG - penalty * over_PG


def _spread(centred_PG: Tensor, learned_PG: Tensor, scale: Scale) -> Tensor:
    """What the centred rewards are divided by; broadcasts against [P, G]."""
    if scale == "none":
        return torch.ones(1, 1)
    if scale == "batch":
        return (centred_PG.square().sum() / (learned_PG.sum() - 1).clamp(min=1)).sqrt() + EPSILON
    freedom_P1 = (learned_PG.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    return (centred_PG.square().sum(dim=1, keepdim=True) / freedom_P1).sqrt() + EPSILON
