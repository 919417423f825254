"""What chain and picture of a sample learn from: one reward for both, or each segment its own.

With `pictures_per_chain` = M a prompt's group is a tree of N chains with M pictures each. A chain's tokens then are
actions of its first sample alone, so that they count once however many pictures share them.

    credit = "total"     both learn from the total's advantage in the group; a shared chain from its samples' mean
    credit = "segment"   a chain from the mean of its samples' totals, against the other chains of its prompt;
                         a picture from the total of the judges that look at it, against the other pictures of its chain

Given a chain its own judges' factor is the same for all its pictures, so that the mean of the totals is R_PR and the
mean over its pictures, joined by the total's own rule, where that is linear in the picture's (product, sum and weights;
of a geometric mean the mean of the totals is less than the rule of the means). It is a Monte Carlo estimate of the
chain's value, as VinePPO's (arXiv 2410.01679, section 4) and SPO's trees (arXiv 2505.23564, section 4) take it for
steps of a text; the mean over a chain's pictures is the baseline of each of them, which may depend on the chain and
leaves the gradient unbiased.

Shape suffixes: P prompts, G samples of a prompt, N chains of a prompt, M pictures of a chain, C = P * N chains,
B = P * G samples; 2 stands for (chain, picture).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from training.advantage import Advantages, Scale, group_advantages

CreditForm = Literal["total", "segment"]


@dataclass(frozen=True, slots=True)
class Credit:
    """What both segments of every sample learn from.

    Attributes:
        text, image: [P, G]; a chain that several samples share has its advantage in the first of them.
        per_chain: M, where a chain's pictures are a group of their own.
    """

    text: Advantages
    image: Advantages
    per_chain: int | None = None

    def without(self, left_out_PG: Tensor) -> Credit:
        """The same, but that neither segment of these samples (bool) is learned from."""
        return replace(self, text=self.text.without(left_out_PG), image=self.image.without(left_out_PG))

    @property
    def taught(self) -> Tensor:
        """Bool [P]: prompts that teach anything."""
        return (self.text.learned_PG | self.image.learned_PG).any(dim=1)

    def of(self, groups: slice) -> tuple[Tensor, Tensor]:
        """(advantages, learned) of some prompts' samples, float32 and bool [2, B]."""
        both = (self.text, self.image)
        values_2B = torch.stack([each.values_PG[groups].flatten() for each in both])
        return values_2B, torch.stack([each.learned_PG[groups].flatten() for each in both])


def total_credit(advantages: Advantages, pictures: int) -> Credit:
    """Both segments learn from the same reward.

    Args:
        advantages: of the samples in their prompt's group.
        pictures: M; a shared chain's advantage is the mean over those of its samples that are learned from.
    """
    if pictures == 1:
        return Credit(advantages, advantages)
    values_CM, learned_CM = (each.view(-1, pictures) for each in (advantages.values_PG, advantages.learned_PG))
    mean_C = _mean(values_CM, learned_CM)
    text = _at_first(mean_C, learned_CM.any(dim=1), pictures, advantages)
    return Credit(text, advantages)


def segment_credit(
    totals: tuple[Tensor, Tensor],
    pictures: tuple[Tensor, Tensor],
    per_chain: int,
    *,
    scale: Scale = "group",
    min_spread: float = 1e-3,
) -> Credit:
    """Chains learn from the mean of their samples' totals, pictures from their own judges within their chain.

    Args:
        totals: (values, scored), both [P, G], a chain's samples side by side. A chain's mean is over the scored ones;
            a chain without any is unscored.
        pictures: the same of the total of the picture's judges alone.
        per_chain: M, at least 2.
        scale, min_spread: of both, each by its own spread; see `group_advantages`.
    """
    values_PG, scored_PG = totals
    values_CM, scored_CM = values_PG.view(-1, per_chain), scored_PG.view(-1, per_chain)
    prompts, any_C = len(values_PG), scored_CM.any(dim=1)
    chains = group_advantages(
        _mean(values_CM, scored_CM).view(prompts, -1), any_C.view(prompts, -1), scale=scale, min_spread=min_spread
    )
    text = _at_first(chains.values_PG.flatten(), chains.learned_PG.flatten(), per_chain, chains)
    rewards_CM, there_CM = (each.view(-1, per_chain) for each in pictures)
    within = group_advantages(rewards_CM, there_CM, scale=scale, min_spread=min_spread)
    image = Advantages(
        within.values_PG.view(prompts, -1), within.learned_PG.view(prompts, -1), within.too_few, within.too_even
    )
    return Credit(text, image, per_chain)


def _mean(values_CM: Tensor, counted_CM: Tensor) -> Tensor:
    """Mean over the counted ones of each row; 0 where there is none."""
    return torch.where(counted_CM, values_CM, 0.0).sum(dim=1) / counted_CM.sum(dim=1).clamp(min=1)


def _at_first(values_C: Tensor, learned_C: Tensor, pictures: int, like: Advantages) -> Advantages:
    """The chains' advantages in the first sample of each, [P, G]."""
    first_M = torch.arange(pictures) == 0
    values_CM = torch.where(first_M, values_C[:, None], 0.0)
    learned_CM = first_M & learned_C[:, None]
    prompts = len(like.values_PG)
    return Advantages(values_CM.view(prompts, -1), learned_CM.view(prompts, -1), like.too_few, like.too_even)
