"""One update of the policy from one rollout: micro-batches in, one optimizer step out; and the learning rate of a step.

Shape suffixes: B sequences, L text positions, T image tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel

from training.loss import Clip, clipped_loss, clipped_share, sampled_kl, weighted_sum
from training.policies import Actions, Policy, SegmentScores, States, TokenScores
from training.settings import ClipSettings, GrpoSettings
from training.trained_parts import Learner


@dataclass(frozen=True, slots=True)
class Work:
    """The sequences of one micro-batch that teach something.

    Attributes:
        old: their scores before the first update of this rollout; None on the only update, where they are the new
            ones.
        reference: the first policy's scores, and its states for an exact KL; None without a KL term.
        idle: there is nothing to learn; the pass is made only because other processes make one.
    """

    actions: Actions
    advantages_B: Tensor
    old: TokenScores | None = None
    reference: tuple[TokenScores, States | None] | None = None
    idle: bool = False

    @property
    def acted(self) -> tuple[Tensor, Tensor]:
        """Bool [B, L] and [B, T]: which tokens of chain and picture are learned from."""
        everywhere_BT = torch.ones_like(self.actions.image_BT, dtype=torch.bool)
        return self.actions.chain_BL & (not self.idle), everywhere_BT & (not self.idle)


def micro_batches(actions: Actions, advantages_B: Tensor, learned_B: Tensor, size: int) -> list[Work]:
    """Micro-batches of the sequences that teach something, shortest first: like lengths side by side pad little."""
    lengths_B = actions.text.mask_BL.sum(dim=1)
    rows = learned_B.nonzero()[:, 0]
    rows = rows[lengths_B[rows].argsort(stable=True)]
    return [Work(actions.select(part), advantages_B[part]) for part in torch.split(rows, size) if len(part)]


def action_weight(work: list[Work], settings: GrpoSettings) -> float:
    """D of this process: the weighted count of action tokens."""
    text = sum(int(part.acted[0].sum()) for part in work)
    image = sum(int(part.acted[1].sum()) for part in work)
    return settings.text_weight * text + settings.image_weight * image


@torch.no_grad()
def with_old_and_reference(work: list[Work], learner: Learner, settings: GrpoSettings) -> list[Work]:
    """The micro-batches with what the losses compare to, computed once a rollout."""
    done = []
    for part in work:
        old = learner.policy(part.actions) if settings.updates > 1 else None
        reference = None
        if settings.beta:
            with learner.reference() as first:
                reference = _reference(first, part.actions, exact=settings.kl == "exact")
        done.append(replace(part, old=old, reference=reference))
    return done


def _reference(first: Policy, actions: Actions, *, exact: bool) -> tuple[TokenScores, States | None]:
    if not exact:
        return first(actions), None
    states = first.states(actions)
    return first.read(states, actions), states


def losses(scores: TokenScores, part: Work, settings: GrpoSettings) -> tuple[Tensor, Counter[str]]:
    """The weighted sum of the token losses of a micro-batch, and sums over its action tokens to be logged."""
    text, text_sums = _segment_loss(
        scores.text, part.old.text if part.old else None, part.reference[0].text if part.reference else None,
        part.acted[0], part.actions.sampled_text_BL, part.advantages_B, settings.text_clip, settings.beta,
    )  # fmt: skip
    # Guided pictures scored without guidance differ from what was sampled by intent, not by drift.
    apart = settings.image_logprob == "conditional" and settings.sampling.guidance > 1
    sampled_BT = None if apart else part.actions.sampled_image_BT
    image, image_sums = _segment_loss(
        scores.image, part.old.image if part.old else None, part.reference[0].image if part.reference else None,
        part.acted[1], sampled_BT, part.advantages_B, settings.image_clip, settings.beta,
    )  # fmt: skip
    named = {f"text/{name}": value for name, value in text_sums.items()}
    named |= {f"image/{name}": value for name, value in image_sums.items()}
    return settings.text_weight * text + settings.image_weight * image, Counter(named)


def _segment_loss(
    new: SegmentScores,
    old: SegmentScores | None,
    reference: SegmentScores | None,
    actions_BS: Tensor,
    sampled_BS: Tensor | None,
    advantages_B: Tensor,
    bounds: ClipSettings,
    beta: float,
) -> tuple[Tensor, dict[str, float]]:
    clip = Clip(bounds.low, bounds.high)
    now_BS, before_BS = new.log_probs_BS, (old or new).log_probs_BS.detach()
    loss_BS = clipped_loss(now_BS, before_BS, advantages_B, clip)
    sums = {
        "tokens": float(actions_BS.sum()),
        "entropy": float(weighted_sum(new.entropy_BS, actions_BS)),
        "ratio": float(weighted_sum((now_BS.detach() - before_BS).exp(), actions_BS)),
        "clipped": float((clipped_share(now_BS.detach(), before_BS, advantages_B, clip) & actions_BS).sum()),
    }
    if sampled_BS is not None:
        sums["drift"] = float(weighted_sum((now_BS.detach() - sampled_BS).abs(), actions_BS))
    if reference is not None:
        kl_BS = new.kl_BS if new.kl_BS is not None else sampled_kl(now_BS, reference.log_probs_BS)
        loss_BS = loss_BS + beta * kl_BS
        sums["kl"] = float(weighted_sum(kl_BS.detach(), actions_BS))
    return weighted_sum(loss_BS, actions_BS), sums


def accumulate(
    policy: Module, work: Sequence[Work], settings: GrpoSettings, learner: Learner, scale: float
) -> Counter[str]:
    """Add the gradients of the micro-batches, each loss times `scale`; returns the sums to be logged.

    Args:
        policy: the learner's own, perhaps wrapped for data parallelism: then gradients meet at the last micro-batch.
        scale: 1 / D, times the number of processes, since data parallelism averages their gradients.
    """
    sums: Counter[str] = Counter()
    for place, part in enumerate(work, start=1):
        states = part.reference[1] if part.reference else None
        reference = (learner.first_heads, states) if states is not None else None
        apart = place < len(work) and isinstance(policy, DistributedDataParallel)
        with cast(DistributedDataParallel, policy).no_sync() if apart else nullcontext():
            loss, logged = losses(policy(part.actions, reference), part, settings)
            torch.autograd.backward(loss * scale)
        sums.update(logged)
    return sums


def pad_micro_batches(work: list[Work], count: int, actions: Actions) -> list[Work]:
    """As many micro-batches as every other process has, the missing ones without any action: all must meet."""
    one = actions.select(torch.zeros(1, dtype=torch.int64, device=actions.image_BT.device))
    return work + [Work(one, torch.zeros(1, device=one.image_BT.device), idle=True)] * (count - len(work))


def cosine_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Share of the peak at a step: linear warm-up, then half a cosine down to a twentieth (paper section 4: cosine)."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def cosine_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """`cosine_factor` as torch's schedule."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_factor(step, steps, warmup_steps))
