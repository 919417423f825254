"""UniGenBench++: which test points does the picture meet? Asked as the open judges are (JPEG, picture first)."""

from __future__ import annotations

from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.unigenbench.asking import UniGenBenchSettings, build_judge
from gotr1_eval.core.protocols import Workshop


class Settings(UniGenBenchSettings):
    """See `benchmarks.unigenbench.asking.UniGenBenchSettings`."""


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when first asked."""
    return build_judge("vllm", settings, workshop)
