"""ImageReward: would people rank this picture high for this prompt? Raw; 0 is an average picture, about -2.3 to 2.

It reads 35 tokens of a prompt: how much of a longer one it did not read is noted at the sample.
"""

from __future__ import annotations

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.rating import RatingJudge


class Settings(StrictSettings):
    """Which reward model: ``"image_reward"``, or ``{use = "image_reward", weights = ...}``."""

    model: Component = Field(default_factory=lambda: {"use": "image_reward"})


def build(settings: Settings, workshop: Workshop) -> RatingJudge:
    """The judge with its reward model."""
    return RatingJudge("image_reward", workshop.reward_model(settings.model))
