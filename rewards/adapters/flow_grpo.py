"""A reward set as a flow_grpo reward: ``_fn(images, prompts, metadata) -> (scores, details)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from rewards.adapters.in_memory import make_samples, value_or
from rewards.reward_set import RewardSet

Reward = Callable[[Any, Sequence[str], Sequence[Mapping[str, Any]]], tuple[list[float], dict[str, Any]]]


def make_reward(rewards: RewardSet, unscored: float | None = None) -> Reward:
    """The function that flow_grpo calls for each batch.

    Args:
        unscored: stand-in for samples without a score; None raises, see `rewards.adapters.in_memory.value_or`.

    Returns:
        A function of pictures (floats [B, 3, H, W] in [0, 1], or uint8 [B, H, W, 3]), prompts and metadata, where a
        metadata entry ``chain`` is the chain.
    """

    def reward(
        images: Any,  # noqa: ANN401 - a torch tensor, an array, or PIL pictures
        prompts: Sequence[str],
        metadata: Sequence[Mapping[str, Any]],
    ) -> tuple[list[float], dict[str, Any]]:
        chains = [entry.get("chain") for entry in metadata]
        outcomes = rewards.judge(make_samples(prompts, chains, _pictures(images)))
        return [value_or(each[rewards.headline], unscored) for each in outcomes], {"outcomes": outcomes}

    return reward


def _pictures(images: Any) -> list[Image.Image]:  # noqa: ANN401
    if isinstance(images, list):
        return images
    array = np.asarray(images.cpu() if hasattr(images, "cpu") else images)
    if array.dtype != np.uint8:
        array = np.round(np.clip(array, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(picture) for picture in array]
