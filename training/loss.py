"""The GRPO objective as pure functions of log-probabilities: PPO's clipped ratio, and the distance to the reference.

    loss = sum over action tokens of weight * (clipped + beta * KL) / D

with D the weighted count of action tokens of the whole step, over all ranks and micro-batches: a mean over each
micro-batch would weigh a token by the company it happens to keep.

Shape suffixes: B sequences, S tokens of a segment (the chain's, or the picture's), V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Clip:
    """How far the ratio new/old may move before a token stops pulling: it is held in [1 - low, 1 + high]."""

    low: float = 0.2
    high: float = 0.2


def clipped_loss(log_probs_BS: Tensor, old_BS: Tensor, advantages_B: Tensor, clip: Clip) -> Tensor:
    """PPO's token loss, -min(ratio * A, clip(ratio) * A); [B, S]."""
    ratio_BS = (log_probs_BS - old_BS).exp()
    held_BS = ratio_BS.clamp(1 - clip.low, 1 + clip.high)
    return -torch.minimum(ratio_BS * advantages_B[:, None], held_BS * advantages_B[:, None])


def clipped_share(log_probs_BS: Tensor, old_BS: Tensor, advantages_B: Tensor, clip: Clip) -> Tensor:
    """Bool [B, S]: tokens whose gradient the clip has cut off."""
    ratio_BS = (log_probs_BS - old_BS).exp()
    rising_B1 = (advantages_B > 0)[:, None]
    falling_B1 = (advantages_B < 0)[:, None]
    return (rising_B1 & (ratio_BS > 1 + clip.high)) | (falling_B1 & (ratio_BS < 1 - clip.low))


def sampled_kl(log_probs_BS: Tensor, reference_BS: Tensor) -> Tensor:
    """KL(policy || reference) estimated from the sampled token alone (Schulman's k3); [B, S], never negative.

    With x = log(reference / policy): exp(x) - x - 1, unbiased for samples of the policy.
    """
    gap_BS = reference_BS - log_probs_BS
    return gap_BS.exp() - gap_BS - 1


def exact_kl(log_probs_NV: Tensor, reference_NV: Tensor) -> Tensor:
    """KL(policy || reference) over the whole vocabulary; [N]."""
    return (log_probs_NV.exp() * (log_probs_NV - reference_NV)).sum(dim=-1)


def weighted_sum(losses_BS: Tensor, actions_BS: Tensor) -> Tensor:
    """The sum of the losses of action tokens; what stands elsewhere does not count."""
    return torch.where(actions_BS, losses_BS, 0.0).sum()
