"""A reader of text without a model: it reads a picture's mean colour, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageStat

from gotr1_eval.core.outcome import Unscored
from gotr1_eval.core.perception import TextLine, Transcript
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import AskedCalls
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Nothing to set."""


class FakeOcr:
    name = "fake"
    fingerprint = "fake-1"
    model_calls = 0
    asks = AskedCalls()

    def read(self, images: Sequence[Image.Image]) -> list[Transcript | Unscored]:
        return [Transcript(tuple(TextLine(f"{mean:.0f}") for mean in ImageStat.Stat(image).mean)) for image in images]


def build(settings: Settings, workshop: Workshop) -> FakeOcr:
    return FakeOcr()
