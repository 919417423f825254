"""The objectives of GRPO as pure functions of log-probabilities: ratios and their clips, the KL, importance weights.

    loss = sum over action tokens of weight * importance * (policy + beta * KL - bonus * entropy) / D

`training.update` says what D and a token's weight are; by default D is the weighted count of action tokens of the whole
step, over all ranks and micro-batches: a mean over each micro-batch would weigh a token by the company it happens to
keep.

Shape suffixes: B sequences, S tokens of a segment (the chain's, or the picture's), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Objective = Literal["ppo", "gspo", "cispo"]
"""What is clipped: each token's ratio (PPO, arXiv 1707.06347, section 3), a segment's (GSPO, arXiv 2507.18071, section
4), or each token's as a weight that has no gradient (CISPO of MiniMax-M1, arXiv 2506.13585, section 3.1)."""


@dataclass(frozen=True, slots=True)
class Clip:
    """How far the ratio new/old may move before a token stops pulling: it is held in [1 - low, 1 + high].

    Attributes:
        two_sided: highest ratio of a token that is made less likely; None for no bound, as in PPO. There min() takes
            the unclipped ratio, however large (dual clip, arXiv 1912.09729, section 4.3, with c = `two_sided`; TRL's
            `delta`).
    """

    low: float = 0.2
    high: float = 0.2
    two_sided: float | None = None


def ratios(log_probs_BS: Tensor, old_BS: Tensor, actions_BS: Tensor, objective: Objective) -> Tensor:
    """new/old of each token, [B, S]; of GSPO that of its whole segment, the geometric mean of its action tokens'.

    Chain and picture have clips of their own, so each of the two is a sequence of GSPO's. At a ratio of 1 all three
    objectives have the same gradient.
    """
    gap_BS = log_probs_BS - old_BS
    if objective != "gspo":
        return gap_BS.exp()
    counts_B1 = actions_BS.sum(dim=1, keepdim=True).clamp(min=1)
    mean_B1 = torch.where(actions_BS, gap_BS, 0.0).sum(dim=1, keepdim=True) / counts_B1
    return mean_B1.exp().expand_as(gap_BS)


def clipped_loss(ratio_BS: Tensor, advantages_B: Tensor, clip: Clip) -> Tensor:
    """PPO's loss, -min(ratio * A, clip(ratio) * A), of each token; [B, S]."""
    held_BS = ratio_BS.clamp(1 - clip.low, 1 + clip.high)
    if clip.two_sided is not None:
        ratio_BS = ratio_BS.clamp(max=clip.two_sided)
    return -torch.minimum(ratio_BS * advantages_B[:, None], held_BS * advantages_B[:, None])


def cispo_loss(log_probs_BS: Tensor, ratio_BS: Tensor, advantages_B: Tensor, clip: Clip) -> Tensor:
    """CISPO's loss, -held(ratio) * A * log p with no gradient through the ratio: no token stops pulling; [B, S]."""
    held_BS = ratio_BS.detach().clamp(1 - clip.low, 1 + clip.high)
    return -held_BS * advantages_B[:, None] * log_probs_BS


def clipped_share(ratio_BS: Tensor, advantages_B: Tensor, clip: Clip) -> Tensor:
    """Bool [B, S]: tokens whose gradient the clip has cut off (of CISPO: whose weight it holds)."""
    rising_B1 = (advantages_B > 0)[:, None]
    falling_B1 = (advantages_B < 0)[:, None]
    cut_BS = (rising_B1 & (ratio_BS > 1 + clip.high)) | (falling_B1 & (ratio_BS < 1 - clip.low))
    return cut_BS if clip.two_sided is None else cut_BS | (falling_B1 & (ratio_BS > clip.two_sided))


def sampled_kl(log_probs_BS: Tensor, reference_BS: Tensor) -> Tensor:
    """KL(policy || reference) estimated from the sampled token alone (Schulman's k3); [B, S], never negative.

    With x = log(reference / policy): exp(x) - x - 1, unbiased for samples of the policy. Its *gradient* is not that of
    what it estimates: on average it is that of KL(reference || policy), since the samples' own dependence on the policy
    is left out. `corrected_kl` puts it back.
    """
    gap_BS = reference_BS - log_probs_BS
    return gap_BS.exp() - gap_BS - 1


def corrected_kl(log_probs_BS: Tensor, reference_BS: Tensor, old_BS: Tensor) -> Tensor:
    """k3 times the ratio new/old, whose average gradient is that of KL(policy || reference); [B, S].

    DeepSeek-V3.2, arXiv 2512.02556, section 3.1. The ratio keeps its gradient, also where its value is 1: detached, it
    would be `sampled_kl` again.
    """
    return (log_probs_BS - old_BS).exp() * sampled_kl(log_probs_BS, reference_BS)


def exact_kl(log_probs_NV: Tensor, reference_NV: Tensor) -> Tensor:
    """KL(policy || reference) over the whole vocabulary; [N]."""
    return (log_probs_NV.exp() * (log_probs_NV - reference_NV)).sum(dim=-1)


def token_importance(old_BS: Tensor, sampled_BS: Tensor, cap: float | None) -> Tensor:
    """p(token) of the trainer over that of the sampler, at most `cap`; [B, S], no gradient.

    Truncated importance sampling of Yao et al., "Your efficient RL framework secretly brings you off-policy RL
    training" (2025). Each token answers for itself: what stands before it is taken as if the trainer had written it,
    which leaves little variance and a bias: in the tests' enumerated problems .08 where it is .24 without weights, if
    tokens neither depend on one another nor share a reward, and .18 of .29 if they do.
    """
    weight_BS = (old_BS - sampled_BS).detach().exp()
    return weight_BS if cap is None else weight_BS.clamp(max=cap)


def sequence_importance(segments: Sequence[tuple[Tensor, Tensor, Tensor]], cap: float | None) -> Tensor:
    """p(chain and picture) of the trainer over that of the sampler, at most `cap`; [B], no gradient.

    Without a cap the gradient is on average exactly that of the trainer's own policy; its variance grows with the
    length, since the differences of all tokens add up, and a cap brings bias back.

    Args:
        segments: of each (trainer's log-probabilities, sampler's, bool actions), all [B, S].
    """
    gaps = [torch.where(actions_BS, old_BS - sampled_BS, 0.0).sum(dim=1) for old_BS, sampled_BS, actions_BS in segments]
    weight_B = torch.stack(gaps).sum(dim=0).detach().exp()
    return weight_B if cap is None else weight_B.clamp(max=cap)


def weighted_sum(losses_BS: Tensor, actions_BS: Tensor) -> Tensor:
    """The sum of the losses of action tokens; what stands elsewhere does not count."""
    return torch.where(actions_BS, losses_BS, 0.0).sum()
