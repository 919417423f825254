"""A reward set as a TRL reward function: ``GRPOTrainer(reward_funcs=TrlReward(rewards), ...)``.

The total is the one reward; its factors are logged as metrics. An unscored sample gives None, which TRL leaves out.
The completion is the chain; ``image`` is the picture painted for it (file or PIL picture), where there is one: a list
that the trainer's ``rollout_func`` returns beside the tokens. A dataset column of that name would be the model's input.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from gotr1_eval.core.outcome import Outcome, Score
from rewards.adapters.in_memory import Picture, make_samples
from rewards.reward_set import RewardSet

Message = Mapping[str, str]


class TrlReward:
    """Scores the completions of a step with a reward set.

    Args:
        rewards: with a total, or with a single judge.
        name: under which TRL logs the reward.
    """

    def __init__(self, rewards: RewardSet, name: str = "gotr1_total") -> None:
        self.rewards = rewards
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[str | Sequence[Message]],
        completions: Sequence[str | Sequence[Message]],
        *,
        image: Sequence[Picture] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward a completion, None where it is unscored; see TRL's documentation of custom reward functions."""
        pictures = image if image is not None else [None] * len(prompts)
        samples = make_samples([_text(p) for p in prompts], [_text(c) for c in completions], pictures)
        outcomes = self.rewards.judge(samples)
        if log_metric is not None:
            for factor in self.rewards.judges:
                scored = [value for value in _values(outcomes, factor) if value is not None]
                if scored:
                    log_metric(f"{self.__name__}/{factor}", statistics.fmean(scored))
        return _values(outcomes, self.rewards.headline)


def _values(outcomes: Sequence[Mapping[str, Outcome]], factor: str) -> list[float | None]:
    judged = [each[factor] for each in outcomes]
    return [outcome.value if isinstance(outcome, Score) else None for outcome in judged]


def _text(turn: str | Sequence[Message]) -> str:
    """The text of a prompt or completion, which TRL hands over as a string or as chat messages."""
    return turn if isinstance(turn, str) else turn[-1]["content"]
