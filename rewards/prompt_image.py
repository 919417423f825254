"""R_PI: does the picture show what the prompt asks for? (paper section 3.2)

The judge sees prompt and picture, describes, reasons, and gives one score from 0 to 10; the value is score / 10.
"""

from __future__ import annotations

from gotr1_eval.core.outcome import Score, Unscored
from gotr1_eval.core.protocols import LooksAt, Vlm, Workshop
from gotr1_eval.core.types import Sample
from rewards.inputs import require_picture
from rewards.rubric import Material, RubricJudge, RubricSettings


class Settings(RubricSettings):
    """See `rewards.rubric.RubricSettings`."""


class PromptImageJudge(RubricJudge):
    """Scores a picture against its prompt."""

    label = "prompt_image"
    version = 1
    looks_at: LooksAt = "picture"
    names = ("score",)
    lowest, highest = 0, 10
    markers = frozenset({"prompt"})
    reasons = ("description", "caption", "reasoning")

    def __init__(self, vlm: Vlm, settings: Settings) -> None:
        super().__init__(vlm, settings, "prompt_image")

    def material(self, sample: Sample) -> Material | Score | Unscored:
        """Prompt and picture."""
        picture = require_picture(sample)
        if isinstance(picture, Unscored):
            return picture
        return Material({"prompt": sample.prompt}, (picture,))


def build(settings: Settings, workshop: Workshop) -> PromptImageJudge:
    """The judge with its model."""
    return PromptImageJudge(workshop.vlm(settings.vlm), settings)
