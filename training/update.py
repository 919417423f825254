"""One update of the policy from one rollout: micro-batches in, gradients of one optimizer step out.

Shape suffixes: B sequences, L text positions, T image tokens; 2 stands for (chain, picture).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel

from training.accelerating import computing
from training.loss import (
    Clip,
    cispo_loss,
    clipped_loss,
    clipped_share,
    corrected_kl,
    ratios,
    sampled_kl,
    sequence_importance,
    token_importance,
    weighted_sum,
)
from training.policies import Actions, Policy, SegmentScores, States, TokenScores
from training.settings import GrpoSettings
from training.settings_tables import ClipSettings
from training.trained_parts import Learner

DRIFT = 0.2
"""A token has drifted when the trainer's probability of it over the sampler's is further than this from 1."""


@dataclass(frozen=True, slots=True)
class Work:
    """The sequences of one micro-batch that teach something.

    Attributes:
        advantages_2B: of each one's chain and of its picture.
        learned_2B: bool, which of the two are learned from.
        old: their scores before the first update of this rollout; None on the only update, where they are the new
            ones.
        reference: the first policy's scores, and its states for an exact KL; None without a KL term.
    """

    actions: Actions
    advantages_2B: Tensor
    learned_2B: Tensor
    old: TokenScores | None = None
    reference: tuple[TokenScores, States | None] | None = None

    @property
    def acted(self) -> tuple[Tensor, Tensor]:
        """Bool [B, L] and [B, T]: which tokens of chain and picture are learned from."""
        text_B1, image_B1 = self.learned_2B[:, :, None]
        return self.actions.chain_BL & text_B1, image_B1.expand_as(self.actions.image_BT)


def micro_batches(actions: Actions, advantages_2B: Tensor, learned_2B: Tensor, size: int) -> list[Work]:
    """Micro-batches of the sequences that teach something, shortest first: like lengths side by side pad little."""
    lengths_B = actions.text.mask_BL.sum(dim=1)
    rows = learned_2B.any(dim=0).nonzero()[:, 0]
    rows = rows[lengths_B[rows].argsort(stable=True)]
    return [
        Work(actions.select(part), advantages_2B[:, part], learned_2B[:, part])
        for part in torch.split(rows, size)
        if len(part)
    ]


def everything_sampled(actions: Actions) -> Work:
    """All sequences, as if each taught something; for counting."""
    nothing_2B = torch.zeros(2, len(actions), device=actions.image_BT.device)
    return Work(actions, nothing_2B, nothing_2B == 0)


def denominator(work: Sequence[Work], settings: GrpoSettings) -> float:
    """This process's share of D, what the sum of a step's losses is divided by; see `GrpoSettings.loss`."""
    rows = sum(len(part.actions) for part in work)
    if settings.loss == "sequences":
        return rows
    if settings.loss == "constant":
        codes = max((part.actions.image_BT.shape[1] for part in work), default=0)
        return rows * (settings.text_weight * settings.sampling.chain_cap + settings.image_weight * codes)
    text, image = (sum(int(part.acted[segment].sum()) for part in work) for segment in (0, 1))
    return settings.text_weight * text + settings.image_weight * image


@torch.no_grad()
def with_old_and_reference(work: list[Work], learner: Learner, settings: GrpoSettings) -> list[Work]:
    """The micro-batches with what the losses compare to, computed once a rollout."""
    done = []
    for part in work:
        reference = None
        with computing(settings.autocast, part.actions.image_BT.device):
            old = learner.policy(part.actions) if settings.updates > 1 else None
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


@dataclass(frozen=True, slots=True)
class Segment:
    """A chain's or a picture's share of a micro-batch.

    Attributes:
        advantages_B: of the segment.
        before_BS: the trainer's log-probabilities before the first update of this rollout.
        sampled_BS: the sampler's; None where they differ by intent.
        weight: of a token.
        bonus: of its entropy.
    """

    name: str
    advantages_B: Tensor
    new: SegmentScores
    before_BS: Tensor
    sampled_BS: Tensor | None
    reference: SegmentScores | None
    actions_BS: Tensor
    clip: Clip
    weight: float
    bonus: float


def losses(scores: TokenScores, part: Work, settings: GrpoSettings) -> tuple[Tensor, Counter[str]]:
    """The weighted sum of the token losses of a micro-batch, and sums over its action tokens to be logged."""
    segments = _segments(scores, part, settings)
    importance = _importance(segments, settings)
    rows_B1 = _row_weights(segments)[:, None] if settings.loss == "sequences" else None
    total, named = torch.zeros((), device=part.advantages_2B.device), Counter[str]()
    for segment in segments:
        loss_BS, sums = _token_losses(segment, settings)
        weights = importance.get(segment.name)
        if weights is not None:
            loss_BS = loss_BS * weights
            sums["importance"] = float(weighted_sum(weights.expand_as(loss_BS), segment.actions_BS))
        if rows_B1 is not None:
            loss_BS = loss_BS * rows_B1
        total = total + segment.weight * weighted_sum(loss_BS, segment.actions_BS)
        named.update({f"{segment.name}/{name}": value for name, value in sums.items()})
    return total, named


def _segments(scores: TokenScores, part: Work, settings: GrpoSettings) -> tuple[Segment, Segment]:
    old = part.old or scores
    first_text, first_image = (part.reference[0].text, part.reference[0].image) if part.reference else (None, None)
    # Guided pictures scored without guidance differ from what was sampled by intent, not by drift.
    apart = settings.image_logprob == "conditional" and settings.sampling.guidance > 1
    chain_BL, image_BT = part.acted
    text_B, image_B = part.advantages_2B
    return (
        Segment(
            "text", text_B, scores.text, old.text.log_probs_BS.detach(), part.actions.sampled_text_BL, first_text,
            chain_BL, _clip(settings.text_clip), settings.text_weight, settings.text_entropy,
        ),
        Segment(
            "image", image_B, scores.image, old.image.log_probs_BS.detach(),
            None if apart else part.actions.sampled_image_BT, first_image,
            image_BT, _clip(settings.image_clip), settings.image_weight, settings.image_entropy,
        ),
    )  # fmt: skip


def _clip(settings: ClipSettings) -> Clip:
    return Clip(settings.low, settings.high, settings.two_sided)


def _importance(segments: Sequence[Segment], settings: GrpoSettings) -> dict[str, Tensor]:
    """Of each segment that the sampler's log-probabilities are known of: [B, S], or [B, 1] of whole sequences."""
    known = [each for each in segments if each.sampled_BS is not None]
    form, cap = settings.importance_form, settings.importance.cap
    if form == "none" or not known:
        return {}
    pairs = [(each.before_BS, each.sampled_BS, each.actions_BS) for each in known if each.sampled_BS is not None]
    if form == "sequence":
        whole_B1 = sequence_importance(pairs, cap)[:, None]
        # Also where a segment's own are unknown: it was written by the same sampler.
        return {each.name: whole_B1 for each in segments}
    return {
        each.name: token_importance(before_BS, sampled_BS, cap)
        for each, (before_BS, sampled_BS, _) in zip(known, pairs, strict=True)
    }


def _row_weights(segments: Sequence[Segment]) -> Tensor:
    """One over each sequence's weighted count of action tokens; [B]."""
    counts_B = torch.stack([each.weight * each.actions_BS.sum(dim=1) for each in segments]).sum(dim=0)
    return torch.where(counts_B > 0, 1 / counts_B.clamp(min=1e-12), 0.0)


def _token_losses(segment: Segment, settings: GrpoSettings) -> tuple[Tensor, dict[str, float]]:
    advantages_B, actions_BS = segment.advantages_B, segment.actions_BS
    now_BS, before_BS = segment.new.log_probs_BS, segment.before_BS
    ratio_BS = ratios(now_BS, before_BS, actions_BS, settings.objective)
    if settings.objective == "cispo":
        loss_BS = cispo_loss(now_BS, ratio_BS, advantages_B, segment.clip)
    else:
        loss_BS = clipped_loss(ratio_BS, advantages_B, segment.clip)
    cut_BS = clipped_share(ratio_BS.detach(), advantages_B, segment.clip) & actions_BS
    sums = {
        "tokens": float(actions_BS.sum()),
        "entropy": float(weighted_sum(segment.new.entropy_BS.detach(), actions_BS)),
        "ratio": float(weighted_sum(ratio_BS.detach(), actions_BS)),
        "clipped": float(cut_BS.sum()),
    }
    if segment.sampled_BS is not None:
        drift_BS = before_BS - segment.sampled_BS
        sums["drift"] = float(weighted_sum(drift_BS.abs(), actions_BS))
        far_BS = (drift_BS.exp() < 1 - DRIFT) | (drift_BS.exp() > 1 + DRIFT)
        sums["drifted"] = float((far_BS & actions_BS).sum())
    if segment.bonus:
        loss_BS = loss_BS - segment.bonus * segment.new.entropy_BS
    if segment.reference is not None:
        kl_BS = _kl(segment, segment.reference, corrected=settings.kl == "corrected")
        loss_BS = loss_BS + settings.beta * kl_BS
        sums["kl"] = float(weighted_sum(kl_BS.detach(), actions_BS))
    return loss_BS, sums


def _kl(segment: Segment, reference: SegmentScores, *, corrected: bool) -> Tensor:
    if segment.new.kl_BS is not None:
        return segment.new.kl_BS
    if corrected:
        return corrected_kl(segment.new.log_probs_BS, reference.log_probs_BS, segment.before_BS)
    return sampled_kl(segment.new.log_probs_BS, reference.log_probs_BS)


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
            with computing(settings.autocast, part.actions.image_BT.device):
                scores = policy(part.actions, reference)
            loss, logged = losses(scores, part, settings)
            torch.autograd.backward(loss * scale)
        sums.update(logged)
    return sums


def pad_micro_batches(work: list[Work], count: int, actions: Actions) -> list[Work]:
    """As many micro-batches as every other process has, the missing ones without any action: all must meet."""
    one = actions.select(torch.zeros(1, dtype=torch.int64, device=actions.image_BT.device))
    nothing_2B = torch.zeros(2, 1, device=one.image_BT.device)
    return work + [Work(one, nothing_2B, nothing_2B != 0)] * (count - len(work))
