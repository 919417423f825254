"""A reward set as a flow_grpo reward: ``_fn(images, prompts, metadata) -> (scores, details)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gotr1_eval.core.errors import UsageError
from rewards.adapters.in_memory import by_sample, make_samples, telling_judge, value_or
from rewards.reward_set import RewardSet

Metadata = Sequence[Mapping[str, Any] | None] | Mapping[str, Any] | None
Reward = Callable[..., tuple[list[float], dict[str, Any]]]


def make_reward(rewards: RewardSet, unscored: float | None = None, *, metadata_is: str | None = None) -> Reward:
    """The function that flow_grpo calls for each batch.

    Args:
        unscored: stand-in for samples without a score; None raises, see `rewards.adapters.in_memory.value_or`.
        metadata_is: name of the fact that a whole metadata entry is, for datasets whose entries are one benchmark's
            rows as they stand; None where an entry holds facts by name.

    Returns:
        A function of pictures (see `rewards.adapters.in_memory.read_pictures`), prompts and metadata, where a metadata
        entry ``chain`` is the chain, and the others are the prompt's facts. Metadata may be a list of dicts, a dict of
        lists, or None, whole or an entry.
        What flow_grpo passes beyond these three (``ref_images``, ``only_strict``) says nothing to our judges.
    """

    judge = telling_judge(rewards)

    def reward(
        images: object, prompts: Sequence[object], metadata: Metadata = None, *_: object, **__: object
    ) -> tuple[list[float], dict[str, Any]]:
        pictures = [None] * len(prompts) if images is None else images
        count = len(prompts)
        chains, facts = _chains(metadata, count), _facts(metadata, count, metadata_is)
        outcomes = judge(make_samples(prompts, chains, pictures, facts))
        return [value_or(each[rewards.headline], unscored) for each in outcomes], {"outcomes": outcomes}

    return reward


def _chains(metadata: Metadata, count: int) -> Sequence[object]:
    """The chain of every sample, None where its metadata holds none."""
    if metadata is None or isinstance(metadata, Mapping):
        column = (metadata or {}).get("chain")
        return [None] * count if column is None else [column] if isinstance(column, str) else column
    entries = list(metadata)
    if not all(entry is None or isinstance(entry, Mapping) for entry in entries):
        raise UsageError("expected metadata as a list of dicts (or None), one a sample")
    return [None if entry is None else entry.get("chain") for entry in entries]


def _facts(metadata: Metadata, count: int, metadata_is: str | None) -> list[Mapping[str, Any] | None]:
    """What every sample's metadata holds besides its chain."""
    if metadata is None:
        return [None] * count
    entries = by_sample(metadata, count) if isinstance(metadata, Mapping) else [entry or {} for entry in metadata]
    facts = [{name: fact for name, fact in entry.items() if name != "chain"} for entry in entries]
    return [fact if metadata_is is None else {metadata_is: fact} for fact in facts]
