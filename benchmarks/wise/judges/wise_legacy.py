"""WISE, legacy protocol: consistency, realism and aesthetic quality, 0 to 2 each."""

from __future__ import annotations

from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.wise.asking import WiseSettings, build_judge
from benchmarks.wise.protocols import LEGACY
from gotr1_eval.core.protocols import Workshop


class Settings(WiseSettings):
    """See `benchmarks.wise.asking.WiseSettings`."""


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when first asked."""
    return build_judge(LEGACY, settings, workshop)
