"""CLIP score: does the picture show what the prompt says? The raw cosine of CLIP (arXiv 2104.08718 without its 2.5).

Real pictures score between 0.15 and 0.4. T2I-CompBench's non-spatial column and the paper's comparison of reward
models with people use this number; published tables may show it times 100 or times 2.5 and cut at 0.
"""

from __future__ import annotations

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.cosine import CosineJudge


class Settings(StrictSettings):
    """Which encoder: ``"clip"``, or ``{use = "clip", model = ...}``."""

    encoder: Component = Field(default_factory=lambda: {"use": "clip"})


def build(settings: Settings, workshop: Workshop) -> CosineJudge:
    """The judge with its encoder."""
    return CosineJudge("clip_score", workshop.encoder(settings.encoder))
