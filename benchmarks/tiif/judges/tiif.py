"""TIIF-Bench: does the picture follow the prompt? Yes-no questions, all in one call."""

from __future__ import annotations

from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.tiif.asking import TiifSettings, build_judge
from gotr1_eval.core.protocols import Workshop


class Settings(TiifSettings):
    """See `benchmarks.tiif.asking.TiifSettings`."""


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when first asked."""
    return build_judge(settings, workshop)
