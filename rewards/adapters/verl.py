"""A reward set as verl's ``compute_score``, which verl's reward loop asks about each sample.

Written against verl 0.9.1, `verl/experimental/reward_loop/reward_manager/naive.py` (and `dapo.py`, `gdpo.py`, which
call it alike): data_source, solution_str, ground_truth, extra_info, and ``reward_router_address`` with
``reward_model_tokenizer`` where a reward model runs. The ``rate_limited`` manager turns every error into a reward of 0,
and ``remote``, which has processes of its own, takes a function and no coroutine. Keys of the answer become columns of
the batch (`RewardLoopManager.compute_rm_score`, `AgentLoopWorker._postprocess`): each sample must have the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from rewards.adapters.in_memory import at_path, facts_of_row, make_samples
from rewards.adapters.trainer_reward import Gathering, TrainerReward
from rewards.reward_set import RewardSet, UnscoredAs

ComputeScore = Callable[..., Coroutine[Any, Any, dict[str, float]]]
MESSAGES = "raw_prompt"
"""What verl's agent loop adds to extra_info: the messages that the policy was asked with."""
NOT_FACTS = (
    "data_source", "ground_truth", MESSAGES, "index", "split", "num_turns", "turn_scores", "tool_rewards",
    "rollout_reward_scores", "experiment_name", "tools_kwargs", "interaction_kwargs", "need_tools_kwargs",
    "min_global_steps", "max_global_steps", "extras",
)  # fmt: skip
"""What verl itself writes into extra_info: the place in the data set, turns, steps."""


def make_compute_score(
    rewards: RewardSet,
    unscored: UnscoredAs = "error",
    *,
    picture: str | None = None,
    prompt: str = "prompt",
    facts: Mapping[str, str] | None = None,
) -> Callable[..., dict[str, float]]:
    """The function that verl calls for each sample, from several threads; they are judged one by one.

    Args:
        rewards: with a total, or with a single judge.
        unscored: the reward of a sample without a score, a number or "error"; verl can leave none out.
        picture: the entry of extra_info that holds the picture, which an agent loop of yours puts among the extra
            fields of its output; None where there are none.
        prompt: the entry of extra_info that holds the prompt as the generator's user wrote it; without it the last
            message of the user is the prompt.
        facts: see `rewards.adapters.in_memory.facts_of_row`, of extra_info with ``data_source`` and ``ground_truth``;
            entries of extra_info are facts under their own names.

    Returns:
        A function whose answer is described at `columns_of`; the solution is the chain.

    Raises:
        UsageError: see `rewards.adapters.trainer_reward.TrainerReward`.
    """
    reward = _reward(rewards, unscored, picture)

    def compute_score(
        data_source: str | None = None,
        solution_str: str | None = None,
        ground_truth: object = None,
        extra_info: Mapping[str, Any] | None = None,
        **_: object,
    ) -> dict[str, float]:
        row = {**(extra_info or {}), "data_source": data_source, "ground_truth": ground_truth}
        (outcomes,) = reward.judge([_sample(row, solution_str, picture, prompt, facts)])
        return columns_of(reward, outcomes)

    return compute_score


def make_async_compute_score(
    rewards: RewardSet,
    unscored: UnscoredAs = "error",
    *,
    picture: str | None = None,
    prompt: str = "prompt",
    facts: Mapping[str, str] | None = None,
) -> ComputeScore:
    """As `make_compute_score`, a coroutine function: samples that verl awaits together are judged together."""
    reward = _reward(rewards, unscored, picture)
    gathering = Gathering(reward.judge)

    async def compute_score(
        data_source: str | None = None,
        solution_str: str | None = None,
        ground_truth: object = None,
        extra_info: Mapping[str, Any] | None = None,
        **_: object,
    ) -> dict[str, float]:
        row = {**(extra_info or {}), "data_source": data_source, "ground_truth": ground_truth}
        outcomes = await gathering.judge(_sample(row, solution_str, picture, prompt, facts))
        return columns_of(reward, outcomes)

    return compute_score


def _reward(rewards: RewardSet, unscored: UnscoredAs, picture: str | None) -> TrainerReward:
    no_picture = "" if picture else "and none comes: name the entry of extra_info that holds it (picture=)"
    return TrainerReward(rewards, "verl", unscored, no_picture=no_picture)


def _sample(
    row: Mapping[str, object], solution: object, picture: str | None, prompt: str, facts: Mapping[str, str] | None
) -> Sample:
    own = facts_of_row(row, facts, (*NOT_FACTS, prompt, picture))
    (sample,) = make_samples([prompt_of(row, prompt)], [solution], [at_path(row, picture)], [own])
    return sample


def prompt_of(row: Mapping[str, object], name: str) -> object:
    """The row's prompt, as text or messages; raises UsageError where it has none."""
    asked = at_path(row, name)
    asked = row.get(MESSAGES) if asked is None else asked
    if asked is None:
        raise UsageError(
            f"extra_info has neither {name!r} nor {MESSAGES!r}: give your data set a column extra_info that holds "
            "the prompt"
        )
    return asked


def columns_of(reward: TrainerReward, outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """The answer for a sample, with the same keys for every one.

    ``score`` and ``scored`` (1 or 0); and for each judge its value under the judge's name in the set, and 1 or 0 under
    ``<name>/scored``. Where 0 stands there, the value is the number of `unscored` (NaN with "error"), so that the mean
    of a judge is (mean - number x (1 - share)) / share, with share the mean of its ``scored``.
    """
    headline = outcomes[reward.headline]
    answer = {"score": reward.number(headline), "scored": float(isinstance(headline, Score))}
    for factor in reward.factors:
        outcome = outcomes[factor]
        answer[factor] = outcome.value if isinstance(outcome, Score) else reward.stand_in
        answer[f"{factor}/scored"] = float(isinstance(outcome, Score))
    return answer
