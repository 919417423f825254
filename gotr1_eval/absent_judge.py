"""Stands for a judge whose weights are not on this machine: its column is there, and empty.

The name is the judge's own, so that a run has the same columns everywhere; the fingerprint is another, so that a resume
asks the judge itself once its weights are here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """What is known of the judge without its weights, and why it is not there."""

    name: str
    lowest: float
    highest: float
    looks_at: LooksAt | None = None
    reason: str


class AbsentJudge:
    """Answers `NOT_APPLICABLE` to everything: nothing failed, and nothing is counted against the samples."""

    may_not_apply = True
    needs = frozenset[str]()
    model_calls = 0

    def __init__(self, settings: Settings) -> None:
        self.name = settings.name
        self.range = (settings.lowest, settings.highest)
        self.looks_at = settings.looks_at
        self.fingerprint = identifiers.fingerprint({"judge": settings.name, "absent": True})
        self._reason = settings.reason

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """That the column is empty, and why."""
        return [f"{self.name} is an empty column: {self._reason}"]

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """No score for any sample."""
        return [Unscored(why=Why.NOT_APPLICABLE, detail=self._reason) for _ in samples]


def build(settings: Settings, workshop: Workshop) -> AbsentJudge:
    """The judge; needs nothing from the workshop."""
    return AbsentJudge(settings)
