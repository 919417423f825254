"""A reward set as a flow_grpo reward: ``_fn(images, prompts, metadata) -> (scores, details)``.

Written against yifan123/flow_grpo at ac4c86e (2025-07-18), `flow_grpo/rewards.py:multi_score`, whose
``score_functions`` is where a factory of yours is entered, and `scripts/train_sd3.py`, which calls from eight threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gotr1_eval.core.errors import UsageError
from rewards.adapters.in_memory import at_path, by_sample, facts_of_row, make_samples
from rewards.adapters.trainer_reward import TrainerReward
from rewards.reward_set import RewardSet, UnscoredAs

Metadata = Sequence[Mapping[str, Any] | None] | Mapping[str, Any] | None
Reward = Callable[..., tuple[list[float], dict[str, Any]]]


def make_reward(
    rewards: RewardSet,
    unscored: UnscoredAs = "error",
    *,
    chain: str | None = "chain",
    metadata_is: str | None = None,
) -> Reward:
    """The function that flow_grpo calls for each batch, from any of its threads.

    Args:
        rewards: with a total, or with a single judge.
        unscored: the reward of a sample without a score, a number or "error"; flow_grpo can leave none out.
        chain: the metadata's entry that holds the chain; None where the policy writes none, as diffusion models do, so
            that a judge of chains is refused here.
        metadata_is: name of the fact that a whole metadata entry is, for datasets whose entries are one benchmark's
            rows as they stand (``"geneval"``); None where an entry holds facts by name.

    Returns:
        A function of pictures (see `rewards.adapters.in_memory.read_pictures`), prompts and metadata, which may be a
        list of dicts, a dict of lists, or None, whole or an entry. What flow_grpo passes beyond these three
        (``only_strict``, ``ref_images``) says nothing to our judges. The second part of its answer, which flow_grpo
        passes on to nobody, holds the ``outcomes``.

    Raises:
        UsageError: see `rewards.adapters.trainer_reward.TrainerReward`.
    """
    no_chain = "" if chain else "and none comes: name the entry of metadata that holds it (chain=)"
    reward = TrainerReward(rewards, "flow_grpo", unscored, no_chain=no_chain)

    def score(
        images: object, prompts: Sequence[object], metadata: Metadata = None, *_: object, **__: object
    ) -> tuple[list[float], dict[str, Any]]:
        rows = _rows(metadata, len(prompts))
        facts = [facts_of_row(row, None, (chain,)) for row in rows]
        samples = make_samples(
            prompts,
            [at_path(row, chain) for row in rows],
            [None] * len(prompts) if images is None else images,
            facts if metadata_is is None else [{metadata_is: fact} if fact else {} for fact in facts],
        )
        outcomes = reward.judge(samples)
        return [reward.number(each[reward.headline]) for each in outcomes], {"outcomes": outcomes}

    return score


def _rows(metadata: Metadata, count: int) -> list[Mapping[str, Any]]:
    """One dict a sample, empty where nothing is known.

    Raises:
        UsageError: the metadata is something else, or not as many as prompts.
    """
    if metadata is None:
        return [{}] * count
    if isinstance(metadata, Mapping):
        return list(by_sample(metadata, count))
    entries = list(metadata)
    if len(entries) != count or not all(entry is None or isinstance(entry, Mapping) for entry in entries):
        raise UsageError(f"expected metadata as a list of {count} dicts (or None), one a prompt")
    return [entry or {} for entry in entries]
