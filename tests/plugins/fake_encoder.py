"""An encoder plug-in without a model, ``tests.plugins.fake_encoder``: colours against letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Nothing to set."""


class FakeEncoder:
    """A picture is its mean red, green and blue (and a constant); a text how often it says r, g and b."""

    name = "fake"
    fingerprint = "fake-1"

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return _units([ImageStat.Stat(image).mean for image in images])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return _units([[-text.count(letter) for letter in "rgb"] for text in texts])


def _units(rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    table = np.array([[*row, 1.0] for row in rows], dtype=np.float32).reshape(-1, 4)
    units: NDArray[np.float32] = table / np.linalg.norm(table, axis=1, keepdims=True)
    return units


def build(settings: Settings, workshop: Workshop) -> FakeEncoder:
    return FakeEncoder()
