"""WISE, verified protocol: is the knowledge behind the prompt shown, 0 or 1?"""

from __future__ import annotations

from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.wise.asking import WiseSettings, build_judge
from benchmarks.wise.protocols import VERIFIED
from gotr1_eval.core.protocols import Workshop


class Settings(WiseSettings):
    """See `benchmarks.wise.asking.WiseSettings`."""


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when first asked."""
    return build_judge(VERIFIED, settings, workshop)
