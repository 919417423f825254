"""A perception plug-in without models, ``tests.plugins.fake_eyes``: yes-no model, depth model and detector in one.

As a detector it finds what it is told to find; one whole-picture box each, unless `finds` says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """What is found in every picture, [label, x1, y1, x2, y2, score]; None is a detector that must be told."""

    finds: list[list[Any]] | None = None
    says: float = 0.75


class FakeEyes:
    """Yes with one probability, nearer to the right, and the detections of its settings."""

    name = "fake-eyes"
    fingerprint = "fake-eyes-1"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.open_vocabulary = settings.finds is None
        self.asked: list[Sequence[str]] = []

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        self.asked += questions
        return [[self.settings.says for _ in asked] for _, asked in zip(images, questions, strict=True)]

    def depth(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        return [np.tile(np.linspace(0, 1, image.width, dtype=np.float32), (image.height, 1)) for image in images]

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        if self.settings.finds is not None:
            return [[Detection(n, Box(*corners), s) for n, *corners, s in self.settings.finds] for _ in images]
        if labels is None:
            raise UsageError("fake-eyes must be told what to look for")
        self.asked += labels
        return [[Detection(name, Box(0, 0, 1, 1), 0.5) for name in names] for names in labels]


def build(settings: Settings, workshop: Workshop) -> FakeEyes:
    return FakeEyes(settings)
