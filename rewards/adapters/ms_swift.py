"""A reward set as an ORM of ms-swift: ``orms["gotr1"] = make_orm(rewards, ...)`` in a file for ``--external_plugins``.

Written against ms-swift 4.6.0: `swift/rlhf_trainers/grpo_trainer.py:_prepare_rewards` makes a reward of
``orms[name](args=args)``, and `swift/rl_core/grpo_algorithm.py:compute_rewards_per_func` calls it with the completions
and the columns of `swift/rl_core/data.py:to_reward_row`. Of a reward that is None, `swift/rl_core/advantage.py` makes
a 0, except with ``--scale_rewards gdpo``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from gotr1_eval.core.errors import UsageError
from rewards.adapters.in_memory import at_path, by_sample, facts_of_row, make_samples
from rewards.adapters.trainer_reward import TrainerReward
from rewards.reward_set import RewardSet, UnscoredAs

_NOT_FACTS = (
    "messages", "prompt_id", "request_id", "finish_reason", "is_truncated", "rollout_infos", "response_token_ids",
    "images", "videos", "audios", "tools", "objects", "chat_template_kwargs", "trajectory_inputs", "teacher_prompt",
)  # fmt: skip
"""Columns of ms-swift's own: messages, ids of groups and samples, how the sampling ended, what the policy is given."""
Values = list[float | None]
Orm = Callable[..., Values] | Callable[..., Coroutine[Any, Any, Values]]


def make_orm(
    rewards: RewardSet,
    unscored: UnscoredAs = "error",
    *,
    picture: str | None = None,
    prompt: str | None = None,
    facts: Mapping[str, str] | None = None,
    asynchronous: bool = False,
    name: str = "gotr1_total",
) -> Callable[..., Orm]:
    """What `orms` holds: called with ms-swift's arguments it gives the reward, which is called for each batch.

    The completion is the chain.

    Args:
        rewards: with a total, or with a single judge.
        unscored: the reward of a sample without a score: a number, "error", or, with ``--scale_rewards gdpo`` alone,
            "omit".
        picture: the column that holds the picture generated for each completion (``rollout_infos.picture``, which a
            scheduler of yours fills); None where there are none. ``images`` is what the policy is shown.
        prompt: the column that holds the prompt as the generator's user wrote it; None where it is the user's last
            message.
        facts: see `rewards.adapters.in_memory.facts_of_row`; columns of the data set are facts under their own names.
        asynchronous: makes a coroutine function; ms-swift awaits all such rewards of a batch together.
        name: under which ms-swift logs the reward.

    Raises:
        UsageError: see `rewards.adapters.trainer_reward.TrainerReward`; of "omit", when ms-swift makes the reward.
    """
    no_picture = "" if picture else "and none comes: name the column that holds it (picture=)"
    reward = TrainerReward(rewards, "ms-swift", unscored, omits=True, no_picture=no_picture)
    asked = prompt or "messages"

    def judge(completions: Sequence[object], columns: Mapping[str, object]) -> Values:
        rows = by_sample(columns, len(completions))
        samples = make_samples(
            [at_path(row, asked) for row in rows],
            completions,
            [at_path(row, picture) for row in rows],
            [facts_of_row(row, facts, (*_NOT_FACTS, asked, picture)) for row in rows],
        )
        return [reward.value(row[reward.headline]) for row in reward.judge(samples)]

    def at_once(completions: Sequence[object], **columns: object) -> Values:
        return judge(completions, columns)

    async def awaited(completions: Sequence[object], **columns: object) -> Values:
        return await asyncio.to_thread(judge, completions, columns)

    def orm(args: object = None, **_: object) -> Orm:
        if reward.unscored == "omit" and getattr(args, "scale_rewards", None) != "gdpo":
            raise UsageError(
                "ms-swift: unscored='omit' needs --scale_rewards gdpo; otherwise ms-swift takes 0 for a sample left "
                "out: name a number or 'error'"
            )
        return awaited if asynchronous else at_once

    at_once.__name__ = awaited.__name__ = name
    return orm
