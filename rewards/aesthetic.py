"""R_HPS: would people like this picture for this prompt? The raw cosine of HPS v2.1 (paper section 3, Eq. 3).

Real pictures score between 0.2 and 0.35. The paper says "scaled to [0, 1]" and not how; here nothing is scaled, and a
total names its map: ``clip01`` takes the raw value, ``affine(0.2,0.35)`` spreads the span that occurs over [0, 1].

    [judges]
    aesthetic = { use = "aesthetic", encoder = { use = "hps", weights = "HPS_v2.1_compressed.pt", tokenizer = "clip" } }

    [total]
    rule = "paper"
    maps = { aesthetic = "clip01" }
"""

from __future__ import annotations

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.cosine import CosineJudge


class Settings(StrictSettings):
    """Which encoder: ``"hps"``, which looks among the fetched weights, or ``{use = "hps", weights = ..., ...}``."""

    encoder: Component = Field(default_factory=lambda: {"use": "hps"})


def build(settings: Settings, workshop: Workshop) -> CosineJudge:
    """The judge with its encoder."""
    return CosineJudge("aesthetic", workshop.encoder(settings.encoder))
