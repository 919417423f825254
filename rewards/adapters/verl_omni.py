"""A reward set as verl-omni's ``compute_score`` of a picture, a coroutine that its reward loop awaits for each sample.

Written against verl-project/verl-omni at a1139baf (2026-08-22),
`verl_omni/reward_loop/reward_manager/visual.py:VisualRewardManager.run_single` and
`multi.py:MultiVisualRewardManager`: solution_image (uint8 [channels, height, width]), data_source, ground_truth,
extra_info, and of a reward model its router's address and name. The multi manager takes 0 for a reward function that
fails, unless its entry says ``required=true``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gotr1_eval.core.errors import UsageError
from rewards.adapters.in_memory import at_path, facts_of_row, make_samples
from rewards.adapters.trainer_reward import Gathering, TrainerReward
from rewards.adapters.verl import NOT_FACTS, ComputeScore, columns_of, prompt_of
from rewards.reward_set import RewardSet, UnscoredAs

_OF_VERL_OMNI = ("frame_interval", "latents_clean", "raw_negative_prompt")


def make_async_compute_score(
    rewards: RewardSet,
    unscored: UnscoredAs = "error",
    *,
    chain: str | None = None,
    prompt: str = "prompt",
    facts: Mapping[str, str] | None = None,
) -> ComputeScore:
    """The coroutine that verl-omni awaits for each picture; those that come together are judged together.

    Args:
        rewards: with a total, or with a single judge.
        unscored: the reward of a sample without a score, a number or "error"; verl-omni can leave none out.
        chain: the entry of extra_info that holds the chain, which an agent loop of yours puts among the extra fields of
            its output; None where the policy writes none, as diffusion models do.
        prompt, facts: see `rewards.adapters.verl.make_compute_score`.

    Returns:
        A coroutine function whose answer is described at `rewards.adapters.verl.columns_of`.

    Raises:
        UsageError: see `rewards.adapters.trainer_reward.TrainerReward`.
    """
    no_chain = "" if chain else "and none comes: name the entry of extra_info that holds it (chain=)"
    reward = TrainerReward(rewards, "verl-omni", unscored, no_chain=no_chain)
    gathering = Gathering(reward.judge)

    async def compute_score(
        solution_image: object = None,
        data_source: str | None = None,
        ground_truth: object = None,
        extra_info: Mapping[str, Any] | None = None,
        **_: object,
    ) -> dict[str, float]:
        if len(getattr(solution_image, "shape", ())) == 4:
            raise UsageError("expected one picture [channels, height, width], got a video; judges look at one picture")
        row = {**(extra_info or {}), "data_source": data_source, "ground_truth": ground_truth}
        own = facts_of_row(row, facts, (*NOT_FACTS, *_OF_VERL_OMNI, prompt, chain))
        (sample,) = make_samples([prompt_of(row, prompt)], [at_path(row, chain)], [solution_image], [own])
        return columns_of(reward, await gathering.judge(sample))

    return compute_score
