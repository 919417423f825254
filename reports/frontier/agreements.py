"""Judges against one reference: each on its own, and two on the items that both scored; every number computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.statistics.ranks import Floats
from reports.agreement.judge_agreement import JudgeMarks
from reports.agreement.marks import Draws, Unit
from reports.frontier.coefficients import coefficient, why_none


class Agreements:
    """The agreement of judges, told apart by their names, with a reference.

    Args:
        reference: item -> mark.
        draws: of prompts, the same for all judges.
        by: of `coefficients.COEFFICIENTS`.
    """

    def __init__(self, reference: Mapping[Unit, float], draws: Draws, by: str) -> None:
        self._reference, self._draws, self._by = reference, draws, by
        self._items: dict[str, tuple[Unit, ...]] = {}
        self._known: dict[tuple[str, tuple[Unit, ...]], Floats] = {}
        self._gains: dict[tuple[str, str], Estimate] = {}

    def items(self, judge: JudgeMarks) -> tuple[Unit, ...]:
        """The reference's items that the judge scored."""
        if judge.name not in self._items:
            self._items[judge.name] = tuple(unit for unit in self._reference if unit in judge.scores)
        return self._items[judge.name]

    def of(self, judge: JudgeMarks) -> Estimate:
        """The agreement on all of them."""
        units = self.items(judge)
        values = self._values(judge, units)
        return estimate(values, why_none(self._by, *self._columns(judge, units)), self._prompts(units))

    def gain(self, other: JudgeMarks, one: JudgeMarks) -> Estimate:
        """How much more the other agrees, on the items that both scored; undefined where one of the two is."""
        key = (other.name, one.name)
        if key not in self._gains:
            has = set(self.items(other))
            common = tuple(unit for unit in self.items(one) if unit in has)
            ours, theirs = (self._values(judge, common) for judge in (one, other))
            self._gains[key] = estimate(theirs - ours, "undefined on the common items", self._prompts(common))
        return self._gains[key]

    def _prompts(self, units: Sequence[Unit]) -> int:
        return self._draws.clusters(units) if units else 0

    def _columns(self, judge: JudgeMarks, units: Sequence[Unit]) -> tuple[Floats, Floats]:
        scores = np.array([judge.scores[unit] for unit in units], dtype=np.float64)
        return scores, np.array([self._reference[unit] for unit in units], dtype=np.float64)

    def _values(self, judge: JudgeMarks, units: tuple[Unit, ...]) -> Floats:
        """[1 + draws]; the number itself first."""
        if not units:
            return np.full(1, np.nan)
        key = (judge.name, units)
        if key not in self._known:
            self._known[key] = coefficient(self._by, *self._columns(judge, units), self._draws.weights(units))
        return self._known[key]
