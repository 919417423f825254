"""A reward model that reads three words of a prompt: the grey of the picture, and a tenth for each word."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageStat

from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Sees, Workshop
from gotr1_eval.settings import Settings as StrictSettings

MOST_WORDS = 3


class Settings(StrictSettings):
    """Which pictures it sees, and a word that it cannot be asked about."""

    sees: Sees = "stored"
    refused: str = "unspeakable"


class FakeRewardModel:
    def __init__(self, settings: Settings) -> None:
        self.sees = settings.sees
        self.refused = settings.refused
        self.name = "fake"
        self.fingerprint = f"fake-{settings.sees}"
        self.modes: list[str] = []

    def cut_off(self, texts: Sequence[str]) -> list[int]:
        return [max(len(text.split()) - MOST_WORDS, 0) for text in texts]

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        self.modes += [image.mode for image in images]
        return [self._rate(image, prompt) for image, prompt in zip(images, prompts, strict=True)]

    def _rate(self, image: Image.Image, prompt: str) -> Outcome:
        if self.refused in prompt:
            return Unscored(why=Why.UNDEFINED, detail=f"a prompt with {self.refused!r} cannot be asked about")
        grey = ImageStat.Stat(image.convert("L")).mean[0] / 255
        return Score(value=grey + len(prompt.split()[:MOST_WORDS]) / 10)


def build(settings: Settings, workshop: Workshop) -> FakeRewardModel:
    return FakeRewardModel(settings)
