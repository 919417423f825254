"""Pairs of samples: which of the two a judge's scores prefer, and how often a system is preferred to another.

A mark on a pair is 1 where its first sample is preferred, 0 where the second is, 0.5 for a tie. A sample's system is
the run that it comes from, with whose name its own begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.types import Json
from reports.agreement.foreign_tables.mapping import ANY
from reports.agreement.marks import Draws, Mark, Marks, Unit
from reports.agreement.rater_agreement import consensus, ratio

TIE = 0.5
Pairs = Mapping[str, tuple[str, str]]
"""Pair's name -> the names of its two samples, in the order in which they sort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceRow:
    """How often one system is preferred to another.

    Attributes:
        dimension: of people's marks; a judge's are made of its scores.
        who: "people", or a judge.
        share: mean over pairs of 1 where the first system's picture is preferred, 0.5 for a tie, 0 else.
        ties: pairs without a preference.
        n, prompts: pairs with a mark, and the prompts that they are about.
    """

    dimension: str
    who: str
    first: str
    second: str
    share: Estimate
    ties: int
    n: int
    prompts: int

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        names = ("dimension", "who", "first", "second", "ties", "n", "prompts")
        return {**{name: getattr(self, name) for name in names}, "share": self.share.json()}


def preferred(first: float, second: float) -> float:
    """The mark of a pair with these two scores; equal ones are a tie."""
    return TIE if first == second else float(first > second)


def paired_scores(judges: Marks, pairs: Pairs) -> Marks:
    """Marks of judges on pairs, from their scores of the single samples.

    A pair of which one sample is unscored is unscored, for the same reason; one of which a judge was not asked about
    both is not asked.
    """
    found = Marks(served_by=judges.served_by, left_out=judges.left_out, counts=judges.counts)
    for pair, (first, _) in pairs.items():
        if first in judges.items:
            found.learn(pair, judges.items[first])
    for dimension, who in judges.who():
        scores = judges.scores(dimension, who)
        missed = judges.unscored.get((dimension, who), {})
        idle = judges.not_applicable.get((dimension, who), set())
        for pair, sides in pairs.items():
            marks = [scores.get(Unit(side)) for side in sides]
            if isinstance(marks[0], float) and isinstance(marks[1], float):
                found.add(dimension, Unit(pair), who, preferred(marks[0], marks[1]))
            elif any(side in missed for side in sides):
                found.miss(dimension, who, pair, next(missed[side] for side in sides if side in missed))
            elif any(side in idle for side in sides):
                found.not_applicable.setdefault((dimension, who), set()).add(pair)
    return found


def preference_rows(people: Marks, judges: Marks, by: str, draws: Draws) -> Iterator[PreferenceRow]:
    """Every two systems that people compared: what they prefer, and what each judge does on the same pairs."""
    for dimension, units in people.values.items():
        said = {unit: consensus(marks, by) for unit, marks in units.items() if unit.item in people.pairs}
        rated = {unit: mark for unit, mark in said.items() if mark is not None}
        # A judge's part for this dimension stands in front of the judge as a whole.
        asked = sorted(judges.who(), key=lambda one: one[0] == dimension)
        scored = {who: judges.scores(of, who) for of, who in asked if of in (ANY, dimension)}
        for systems in dict.fromkeys(_systems(people.pairs[unit.item]) for unit in rated):
            both = [unit for unit in rated if _systems(people.pairs[unit.item]) == systems]
            yield _row(dimension, "people", {unit: rated[unit] for unit in both}, people.pairs, draws)
            for who, marks in scored.items():
                own = {unit: marks[unit] for unit in both if unit in marks}
                if own:
                    yield _row(dimension, who, own, people.pairs, draws)


def _systems(sides: tuple[str, str]) -> tuple[str, str]:
    first, second = sorted(side.partition("/")[0] for side in sides)
    return first, second


def _row(dimension: str, who: str, marks: Mapping[Unit, Mark], pairs: Pairs, draws: Draws) -> PreferenceRow:
    units = list(marks)
    first, second = _systems(pairs[units[0].item])
    values = np.array([_oriented(marks[unit], pairs[unit.item], first) for unit in units])
    weights = draws.weights(units)
    return PreferenceRow(
        dimension=dimension,
        who=who,
        first=first,
        second=second,
        share=estimate(ratio(weights @ values, weights.sum(axis=1)), prompts=draws.clusters(units)),
        ties=int((values == TIE).sum()),
        n=len(units),
        prompts=draws.clusters(units),
    )


def _oriented(mark: Mark, sides: tuple[str, str], system: str) -> float:
    """The mark with that system's sample as the first one."""
    return float(mark) if sides[0].partition("/")[0] == system else 1.0 - float(mark)
