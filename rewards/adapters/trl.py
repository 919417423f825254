"""A reward set as TRL's reward function: ``GRPOTrainer(reward_funcs=TrlReward(rewards), ...)``.

Written against TRL 1.16.0, `trl/trainer/grpo_trainer.py`: `_calculate_rewards` calls it with prompts, completions,
tokens, the dataset's columns, what ``rollout_func`` returned beside the tokens, and ``log_metric`` and ``log_extra``;
None is a sample that `_generate_and_score_completions` leaves out of its group.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gotr1_eval.core.outcome import Score
from rewards.adapters.in_memory import at_path, by_sample, facts_of_row, make_samples
from rewards.adapters.trainer_reward import TrainerReward
from rewards.reward_set import RewardSet, UnscoredAs

_NOT_FACTS = ("completion_ids", "prompt_ids", "image", "images", "tools", "chat_template_kwargs", "environment")
"""Columns that are tokens, or what the policy itself is given."""


class TrlReward:
    """Scores the completions of a step: the completion is the chain.

    Args:
        rewards: with a total, or with a single judge.
        picture: the list in the output of the trainer's ``rollout_func`` that holds the picture generated for each
            completion; None where there are no pictures. The dataset's own ``image`` is what the policy is shown.
        prompt: the dataset's column that holds the prompt as the generator's user wrote it; None where the policy is
            asked with just that.
        facts: see `rewards.adapters.in_memory.facts_of_row`; columns are facts under their own names.
        unscored: a sample without a score; TRL leaves it out of its group.
        name: under which TRL logs the reward.

    Raises:
        UsageError: see `rewards.adapters.trainer_reward.TrainerReward`.
    """

    def __init__(
        self,
        rewards: RewardSet,
        *,
        picture: str | None = None,
        prompt: str | None = None,
        facts: Mapping[str, str] | None = None,
        unscored: UnscoredAs = "omit",
        name: str = "gotr1_total",
    ) -> None:
        no_picture = (
            "" if picture else "and none comes: name the list of rollout_func's output that holds it (picture=)"
        )
        self._reward = TrainerReward(rewards, "TRL", unscored, omits=True, no_picture=no_picture)
        self._picture, self._prompt, self._facts = picture, prompt, facts
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[object],
        completions: Sequence[object],
        *,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward a completion, None where it is unscored.

        Args:
            prompts: strings, or chat messages whose content may come in parts; of several the user's last one counts.
            completions: likewise; the last message is the chain.
            log_metric: is told the mean of each judge over the samples that it scored, and the share of these; of a
                judge by whose name the reward goes the share alone, since TRL has its mean.
            log_extra: is told why samples are unscored, for TRL's table of completions.
            columns: what else TRL hands over.
        """
        rows = by_sample(columns, len(prompts))
        samples = make_samples(
            [at_path(row, self._prompt) for row in rows] if self._prompt else prompts,
            completions,
            [at_path(row, self._picture) for row in rows],
            [facts_of_row(row, self._facts, (*_NOT_FACTS, self._prompt, self._picture)) for row in rows],
        )
        judged = self._reward.judge(samples)
        outcomes = [row[self._reward.headline] for row in judged]
        if log_metric is not None and judged:
            for factor in self._reward.factors:
                scores = [outcome.value for row in judged if isinstance(outcome := row[factor], Score)]
                own = self.__name__ if factor == self.__name__ else f"{self.__name__}/{factor}"
                log_metric(f"{own}/scored", len(scores) / len(judged))
                if scores and factor != self.__name__:
                    log_metric(own, statistics.fmean(scores))
        if log_extra is not None:
            whys = ["" if isinstance(one, Score) else f"{one.why.value}: {one.detail}" for one in outcomes]
            log_extra(f"{self.__name__}/why", whys)
        return [self._reward.value(outcome) for outcome in outcomes]


def factor_rewards(
    rewards: RewardSet,
    *,
    picture: str | None = None,
    prompt: str | None = None,
    facts: Mapping[str, str] | None = None,
    unscored: UnscoredAs = "omit",
) -> list[TrlReward]:
    """A reward function for each judge, called as the set calls it, for TRL to weigh (``reward_weights``).

    With ``multi_objective_aggregation="normalize_then_sum"`` a judge without a score for a sample says nothing about
    it; TRL's other way, the sum before normalizing, takes 0 for it. The arguments are those of `TrlReward`.
    """
    return [
        TrlReward(
            RewardSet({factor: judge}), picture=picture, prompt=prompt, facts=facts, unscored=unscored, name=factor
        )
        for factor, judge in rewards.judges.items()
    ]
