"""The advantages of a step, from what the judges say of its samples.

Advantages are of all groups of a step, whichever process sampled them, since a spread may be taken over the step and
since the least spread that counts is a share of the largest reward.

Shape suffixes: P prompts, G samples of a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.protocols import READS_PICTURE
from rewards.reward_set import RewardSet
from training.advantage import decoupled_advantages, group_advantages, punish_long_chains
from training.credit import Credit, segment_credit, total_credit
from training.rollout import JudgedRollout, rewards_of
from training.settings import GrpoSettings

REWARD, PICTURE = "reward", "picture"
"""What is learned from, unless GDPO keeps the judges apart: the reward, and its part of the judges of the picture."""


def check_gdpo(settings: GrpoSettings, rewards: RewardSet) -> None:
    """Raises UsageError where GDPO's settings do not fit the judges."""
    if settings.gdpo is None:
        return
    unknown = sorted(settings.gdpo.weights.keys() - rewards.judges.keys())
    if unknown:
        raise UsageError(f"gdpo.weights: no judge {', '.join(unknown)} (there are: {', '.join(rewards.judges)})")
    if len(rewards.judges) < 2:
        raise UsageError("gdpo keeps the advantages of several judges apart; this reward has one")


def check_credit(settings: GrpoSettings, rewards: RewardSet) -> None:
    """See that credit by segment has a reward for the picture, and knows whose it is.

    Raises:
        UsageError: a judge of the reward says neither, or none of them looks at the picture.
    """
    if settings.credit != "segment":
        return
    judges = {name: rewards.judges[name] for name in rewards.factors}
    for name, judge in judges.items():
        if judge.looks_at is None:
            raise UsageError(f"credit = 'segment': judge {name!r} does not say whether it looks at chain or picture")
    if not any(judge.looks_at in READS_PICTURE for judge in judges.values()):
        raise UsageError("credit = 'segment': no judge of the reward looks at the picture, which would learn nothing")


def credit_of(judged: JudgedRollout, settings: GrpoSettings, rewards: RewardSet, place: int) -> tuple[Credit, slice]:
    """Of all groups of the step, and which of them are this process's.

    Args:
        rewards: its headline is the reward; of GDPO every judge is one.
        place: of this process among the others.
    """
    group = settings.samples_per_prompt
    mine = {name: _column(outcomes, group) for name, outcomes in _rewards_of(judged, settings, rewards).items()}
    chains = tuple(torch.tensor(each).view(-1, group) for each in (judged.rollout.tokens, judged.rollout.truncated))
    everyone: list[tuple[Mapping[str, tuple[Tensor, ...]], tuple[Tensor, ...]]] = gather_object([(mine, chains)])
    columns = {name: _together([columns[name] for columns, _ in everyone]) for name in mine}
    tokens_PG, truncated_PG = _together([each for _, each in everyone])
    found = _credit(columns, tokens_PG, settings)
    if not settings.truncated.learn:
        found = found.without(truncated_PG)
    count = len(judged.rows) // group
    return found, slice(place * count, (place + 1) * count)


def _rewards_of(judged: JudgedRollout, settings: GrpoSettings, rewards: RewardSet) -> dict[str, list[Outcome]]:
    """What is learned from, by name: of GDPO its judges; else `REWARD`, and for credit by segment `PICTURE`."""
    if settings.gdpo is not None:
        return {name: [row[name] for row in judged.rows] for name in judged.rows[0] if name != rewards.headline}
    found = {REWARD: [row[rewards.headline] for row in judged.rows]}
    if settings.credit == "segment":
        of_picture = {name for name in rewards.factors if rewards.judges[name].looks_at in READS_PICTURE}
        found[PICTURE] = [rewards.combine(row, of_picture) for row in judged.rows]
    return found


def _credit(columns: Mapping[str, Any], tokens_PG: Tensor, settings: GrpoSettings) -> Credit:
    per_chain = settings.pictures_per_chain
    if settings.gdpo is not None:
        advantages = decoupled_advantages(
            {name: (values_PG, scored_PG) for name, (values_PG, scored_PG, _) in columns.items()},
            {name: applies_PG for name, (_, _, applies_PG) in columns.items()},
            settings.gdpo.weights, min_spread=settings.min_spread, missing=settings.gdpo.missing,
        )  # fmt: skip
        return total_credit(advantages, per_chain)
    values_PG, scored_PG, _ = columns[REWARD]
    if settings.truncated.soft:
        cap, how = settings.sampling.chain_cap, settings.truncated
        values_PG = punish_long_chains(values_PG, tokens_PG, cap, how.soft, how.penalty)
    scale, least = settings.scale, settings.min_spread
    if PICTURE not in columns:
        return total_credit(group_advantages(values_PG, scored_PG, scale=scale, min_spread=least), per_chain)
    pictures_PG, there_PG, _ = columns[PICTURE]
    return segment_credit((values_PG, scored_PG), (pictures_PG, there_PG), per_chain, scale=scale, min_spread=least)


def _column(outcomes: Sequence[Outcome], group: int) -> tuple[Tensor, Tensor, Tensor]:
    """(values, scored, applies) of one factor, [P, G]."""
    beside = [isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE for each in outcomes]
    return *rewards_of(outcomes, group), ~torch.tensor(beside).view(-1, group)


def _together(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Tensors of the same meaning one behind the other."""
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))
