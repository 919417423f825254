"""The detector of the shapes world: finds coloured shapes from pixels alone, needs no weights."""

from __future__ import annotations

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes.detecting import ShapesDetector


class Settings(StrictSettings):
    """Nothing to set."""


def build(settings: Settings, workshop: Workshop) -> ShapesDetector:
    """The detector; needs no settings and no model."""
    return ShapesDetector()
