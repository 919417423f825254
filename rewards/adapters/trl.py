"""A reward set as a TRL reward function: ``GRPOTrainer(reward_funcs=TrlReward(rewards), ...)``.

The total is the one reward; its factors are logged as metrics. An unscored sample gives None, which TRL leaves out.
The completion is the chain; ``image`` is the picture generated for it (file or PIL picture), where there is one: a list
that the trainer's ``rollout_func`` returns beside the tokens. A dataset column of that name would be the model's input.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from gotr1_eval.core.outcome import Outcome, Score
from rewards.adapters.in_memory import by_sample, make_samples, telling_judge
from rewards.reward_set import RewardSet

_OF_TRL = ("completion_ids", "prompt_ids")
"""Tokens, which TRL hands over beside the dataset's columns."""


class TrlReward:
    """Scores the completions of a step with a reward set.

    Args:
        rewards: with a total, or with a single judge.
        name: under which TRL logs the reward.
    """

    def __init__(self, rewards: RewardSet, name: str = "gotr1_total") -> None:
        self.rewards = rewards
        self._judge = telling_judge(rewards)
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[object],
        completions: Sequence[object],
        *,
        image: object = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward a completion, None where it is unscored; see TRL's documentation of custom reward functions.

        Args:
            prompts: strings, or chat messages whose content may come in parts; of several the user's last one counts.
            completions: likewise; the last message is the chain.
            image: see `rewards.adapters.in_memory.read_pictures`.
            columns: what else TRL hands over; those of the dataset are the prompts' facts.
        """
        pictures = [None] * len(prompts) if image is None else image
        known = {name: column for name, column in columns.items() if name not in _OF_TRL}
        facts = by_sample(known, len(prompts))
        outcomes = self._judge(make_samples(prompts, completions, pictures, facts))
        if log_metric is not None:
            for factor in self.rewards.judges:
                scored = [value for value in _values(outcomes, factor) if value is not None]
                if scored:
                    log_metric(f"{self.__name__}/{factor}", statistics.fmean(scored))
        return _values(outcomes, self.rewards.headline)


def _values(outcomes: Sequence[Mapping[str, Outcome]], factor: str) -> list[float | None]:
    judged = [each[factor] for each in outcomes]
    return [outcome.value if isinstance(outcome, Score) else None for outcome in judged]
