"""T2I-CoReBench: which elements does the picture show? Asked as Gemini is (all in one turn)."""

from __future__ import annotations

from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.t2i_corebench.asking import CoReBenchSettings, build_judge
from gotr1_eval.core.protocols import Workshop


class Settings(CoReBenchSettings):
    """See `benchmarks.t2i_corebench.asking.CoReBenchSettings`."""


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when first asked."""
    return build_judge("gemini", settings, workshop)
