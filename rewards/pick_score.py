"""PickScore: which of two pictures would people pick for this prompt? Raw, on a scale of 100 times the cosine.

Real pictures score about 18 to 24; the cosine stands in the judge's parts. Others report it divided by 26 (flow_grpo):
the map ``over(26)`` does that.
"""

from __future__ import annotations

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.rating import RatingJudge


class Settings(StrictSettings):
    """Which reward model: ``"pick_score"``, or ``{use = "pick_score", model = ...}``."""

    model: Component = Field(default_factory=lambda: {"use": "pick_score"})


def build(settings: Settings, workshop: Workshop) -> RatingJudge:
    """The judge with its reward model."""
    return RatingJudge("pick_score", workshop.reward_model(settings.model))
