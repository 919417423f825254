"""HPSv3: would people prefer this picture for this prompt? Raw, without bounds; sound pictures get about 0 to 12.

The deviation that the model is unsure by stands in the judge's part ``sigma``. A total needs a map, and a ceiling: what
is optimised for this score goes above 15.
"""

from __future__ import annotations

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.rating import RatingJudge


class Settings(StrictSettings):
    """Which reward model: ``"hps_v3"``, or ``{use = "hps_v3", weights = ..., positions = "mrope"}``."""

    model: Component = Field(default_factory=lambda: {"use": "hps_v3"})


def build(settings: Settings, workshop: Workshop) -> RatingJudge:
    """The judge with its reward model."""
    return RatingJudge("hps_v3", workshop.reward_model(settings.model))
