"""A reward set as verl's ``compute_score``: point ``custom_reward_function.path`` at a file that holds

    from rewards.adapters.verl import make_compute_score
    compute_score = make_compute_score(Builder().reward_set("my_rewards.toml"))

The solution is the chain; ``extra_info`` holds ``prompt`` and, where there is one, ``image``. One sample is judged a
call: name a judge model behind a server, which answers many at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gotr1_eval.core.outcome import Score
from rewards.adapters.in_memory import make_samples, value_or
from rewards.reward_set import RewardSet

ComputeScore = Callable[..., dict[str, float]]


def make_compute_score(rewards: RewardSet, unscored: float | None = None) -> ComputeScore:
    """The function that verl calls for each solution.

    Args:
        unscored: stand-in for samples without a score; None raises, see `rewards.adapters.in_memory.value_or`.

    Returns:
        A function that returns ``score``, ``scored`` (1 or 0) and every factor's value that there is.
    """

    def compute_score(
        data_source: str, solution_str: str, ground_truth: object, extra_info: Mapping[str, Any]
    ) -> dict[str, float]:
        samples = make_samples([extra_info["prompt"]], [solution_str], [extra_info.get("image")])
        (outcomes,) = rewards.judge(samples)
        headline = outcomes[rewards.headline]
        factors = {name: outcome.value for name, outcome in outcomes.items() if isinstance(outcome, Score)}
        return factors | {"score": value_or(headline, unscored), "scored": float(isinstance(headline, Score))}

    return compute_score
