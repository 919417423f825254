"""What a step collects before it learns: rollouts, what the judges say of them, and the advantages that follow.

Advantages are of all groups of a step, whichever process sampled them, since a spread may be taken over the step and
since the least spread that counts is a share of the largest reward.

Shape suffixes: P prompts, G samples of a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from rewards.reward_set import RewardSet
from training.advantage import Advantages, decoupled_advantages, group_advantages, punish_long_chains
from training.policies import Actions
from training.reward_judging import Row
from training.rollout import Rollout, rewards_of
from training.settings import GrpoSettings


@dataclass(frozen=True, slots=True)
class Collected:
    """A process's samples of a step, group by group, and the outcomes of the reward's and the watched judges."""

    rollout: Rollout
    rows: list[Row]
    watched: list[Row]

    def with_more(self, more: Collected, pad: int) -> Collected:
        """These groups and then those."""
        one, two = self.rollout, more.rollout
        rollout = Rollout(
            one.samples + two.samples,
            Actions.join([one.actions, two.actions], pad),
            one.truncated + two.truncated,
        )
        return Collected(rollout, self.rows + more.rows, self.watched + more.watched)


def check_gdpo(settings: GrpoSettings, rewards: RewardSet) -> None:
    """Raises UsageError where GDPO's settings do not fit the judges."""
    if settings.gdpo is None:
        return
    unknown = sorted(settings.gdpo.weights.keys() - rewards.judges.keys())
    if unknown:
        raise UsageError(f"gdpo.weights: no judge {', '.join(unknown)} (there are: {', '.join(rewards.judges)})")
    if len(rewards.judges) < 2:
        raise UsageError("gdpo keeps the advantages of several judges apart; this reward has one")


def advantages_of(collected: Collected, settings: GrpoSettings, headline: str, place: int) -> tuple[Advantages, slice]:
    """Of all groups of the step, and which of them are this process's.

    Args:
        headline: the factor that is the reward; of GDPO every judge is.
        place: of this process among the others.
    """
    group = settings.samples_per_prompt
    factors = [headline] if settings.gdpo is None else [name for name in collected.rows[0] if name != headline]
    mine = {name: _column([row[name] for row in collected.rows], group) for name in factors}
    chains = (
        collected.rollout.actions.chain_BL.sum(dim=1).cpu().view(-1, group),
        torch.tensor(collected.rollout.truncated).view(-1, group),
    )
    everyone: list[tuple[Mapping[str, tuple[Tensor, ...]], tuple[Tensor, ...]]] = gather_object([(mine, chains)])
    columns = {name: _together([columns[name] for columns, _ in everyone]) for name in factors}
    tokens_PG, truncated_PG = _together([each for _, each in everyone])
    found = _advantages(columns, tokens_PG, settings)
    if not settings.truncated.learn:
        found = found.without(truncated_PG)
    count = len(collected.rows) // group
    return found, slice(place * count, (place + 1) * count)


def _advantages(columns: Mapping[str, Any], tokens_PG: Tensor, settings: GrpoSettings) -> Advantages:
    if settings.gdpo is not None:
        return decoupled_advantages(
            {name: (values_PG, scored_PG) for name, (values_PG, scored_PG, _) in columns.items()},
            {name: applies_PG for name, (_, _, applies_PG) in columns.items()},
            settings.gdpo.weights, min_spread=settings.min_spread, missing=settings.gdpo.missing,
        )  # fmt: skip
    [(values_PG, scored_PG, _)] = columns.values()
    if settings.truncated.soft:
        cap, how = settings.sampling.chain_cap, settings.truncated
        values_PG = punish_long_chains(values_PG, tokens_PG, cap, how.soft, how.penalty)
    return group_advantages(values_PG, scored_PG, scale=settings.scale, min_spread=settings.min_spread)


def _column(outcomes: Sequence[Outcome], group: int) -> tuple[Tensor, Tensor, Tensor]:
    """(values, scored, applies) of one factor, [P, G]."""
    beside = [isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE for each in outcomes]
    return *rewards_of(outcomes, group), ~torch.tensor(beside).view(-1, group)


def _together(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Tensors of the same meaning one behind the other."""
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))
