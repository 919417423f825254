"""LAION aesthetic v2: does the picture look good, whatever the prompt? Made for 1 to 10; most pictures get 5 to 6.5."""

from __future__ import annotations

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.rating import RatingJudge


class Settings(StrictSettings):
    """Which reward model: ``"laion_aesthetic"``, or ``{use = "laion_aesthetic", encoder = ..., head = ...}``."""

    model: Component = Field(default_factory=lambda: {"use": "laion_aesthetic"})


def build(settings: Settings, workshop: Workshop) -> RatingJudge:
    """The judge with its reward model."""
    return RatingJudge("laion_aesthetic", workshop.reward_model(settings.model))
