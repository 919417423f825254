"""A reward set as verl's ``compute_score``: point ``custom_reward_function.path`` at a file that holds

    from rewards.adapters.verl import make_compute_score
    compute_score = make_compute_score(Builder().reward_set("my_rewards.toml"))

The solution is the chain; ``extra_info`` holds ``prompt`` and, where there is one, ``image``; what else it holds are
the prompt's facts. One sample is judged a
call: name a judge model behind a server, which answers many at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from rewards.adapters.in_memory import make_samples, telling_judge, value_or
from rewards.reward_set import RewardSet

ComputeScore = Callable[..., dict[str, float]]


def make_compute_score(rewards: RewardSet, unscored: float | None = None) -> ComputeScore:
    """The function that verl calls for each solution.

    Args:
        unscored: stand-in for samples without a score; None raises, see `rewards.adapters.in_memory.value_or`.

    Returns:
        A function that returns ``score``, ``scored`` (1 or 0), and the value of every factor, and of the total where
        there is one. The keys are the same for every sample, because verl makes columns of them; an unscored factor
        is NaN there, never a number that nobody gave.
    """

    judge = telling_judge(rewards)

    def compute_score(
        data_source: str | None = None,
        solution_str: str | None = None,
        ground_truth: object = None,
        extra_info: Mapping[str, Any] | None = None,
        **_: object,
    ) -> dict[str, float]:
        if not extra_info or extra_info.get("prompt") is None:
            raise UsageError("extra_info has no 'prompt': give your dataset a column extra_info that holds it")
        facts = {name: fact for name, fact in extra_info.items() if name not in ("prompt", "image")}
        samples = make_samples([extra_info["prompt"]], [solution_str], [extra_info.get("image")], [facts])
        (outcomes,) = judge(samples)
        headline = outcomes[rewards.headline]
        factors = {
            name: outcome.value if isinstance(outcome, Score) else math.nan for name, outcome in outcomes.items()
        }
        return factors | {"score": value_or(headline, unscored), "scored": float(isinstance(headline, Score))}

    return compute_score
