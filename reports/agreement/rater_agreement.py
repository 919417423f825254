"""How far people agree among themselves on one dimension, and the human ceiling for judges that follows from it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.correlations import NAMES, average, correlations
from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.statistics.krippendorff import LEVELS, Coincidences, Level
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Json
from reports.agreement.marks import Draws, Mark, Unit

LEAST_UNITS = 10
"""Units that a rater must share with others; a correlation over fewer says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleRow:
    """What people's marks on a dimension are worth, in one category.

    Attributes:
        units, ratings, raters: counts; `paired` units have two ratings or more.
        alpha: Krippendorff's, by level; words have the nominal one only.
        pairwise: mean over paired units of the share of pairs of raters who agree exactly.
        majority_share: mean over units of the share of raters who gave the most frequent mark.
        mean: mean over ratings; none for words.
        majority_vote: share of units that more than half of their raters marked 1; for marks of 0 and 1 only.
    """

    dimension: str
    category: str
    units: int
    paired: int
    ratings: int
    raters: int
    alpha: Mapping[str, Estimate]
    pairwise: Estimate
    majority_share: Estimate
    mean: Estimate
    majority_vote: Estimate

    def json(self) -> dict[str, Json]:
        """Everything as JSON values; undefined numbers are null with the reason beside them."""
        plain: dict[str, Json] = {
            name: getattr(self, name) for name in ("dimension", "category", "units", "paired", "ratings", "raters")
        }
        names = ("pairwise", "majority_share", "mean", "majority_vote")
        numbers = {name: getattr(self, name).json() for name in names}
        return {**plain, "alpha": {level: one.json() for level, one in self.alpha.items()}, **numbers}


def people_row(dimension: str, category: str, units: Mapping[Unit, Mapping[str, Mark]], draws: Draws) -> PeopleRow:
    """The agreement of people over some units."""
    marks = [list(said.values()) for said in units.values()]
    weights = draws.weights(list(units))
    weights = weights / weights[0].mean() if marks else weights
    numeric = all(isinstance(mark, float) for said in marks for mark in said)
    binary = numeric and {mark for said in marks for mark in said} <= {0.0, 1.0}
    lengths = np.array([len(said) for said in marks], dtype=float)
    words, prompts = "words have no mean", draws.clusters(units)
    sums = np.array([sum(said) if numeric else 0.0 for said in marks])  # type: ignore[arg-type]
    return PeopleRow(
        dimension=dimension,
        category=category,
        units=len(marks),
        paired=int((lengths > 1).sum()),
        ratings=int(lengths.sum()),
        raters=len({who for said in units.values() for who in said}),
        alpha=_alphas(marks, weights, numeric, prompts),
        pairwise=_unit_mean([_agreeing_pairs(said) for said in marks], weights, "no unit has two ratings", prompts),
        majority_share=_unit_mean(
            [max(Counter(said).values()) / len(said) for said in marks], weights, "no ratings", prompts
        ),
        mean=estimate(ratio(weights @ sums, weights @ lengths), prompts=prompts)
        if numeric
        else Estimate(None, why=words),
        majority_vote=_unit_mean([_vote(said) for said in marks], weights, "no ratings", prompts)
        if binary
        else Estimate(None, why="the marks are not 0 and 1"),
    )


def consensus(said: Mapping[str, Mark], by: str) -> float | None:
    """One number for several people's: their mean, or the mean of their most frequent marks; None for words."""
    numbers = [mark for mark in said.values() if isinstance(mark, float)]
    if len(numbers) < len(said) or not numbers:
        return None
    return statistics.fmean(numbers if by == "mean" else statistics.multimode(numbers))


def mean_over_categories(rows: Sequence[PeopleRow], name: str) -> float | None:
    """The plain mean of a number over categories, as benchmarks average; None where one lacks it."""
    values = [getattr(row, name).value for row in rows]
    return statistics.fmean(values) if values and None not in values else None


def _alphas(marks: Sequence[Sequence[Mark]], weights: Floats, numeric: bool, prompts: int) -> dict[str, Estimate]:
    counted = Coincidences(marks)
    return {level: _alpha(counted, level, weights, prompts) for level in (LEVELS if numeric else LEVELS[:1])}


def _alpha(counted: Coincidences, level: Level, weights: Floats, prompts: int) -> Estimate:
    if counted.why_undefined:
        return Estimate(None, why=counted.why_undefined)
    if level == "ratio" and any(isinstance(value, float) and value < 0 for value in counted.values):
        return Estimate(None, why="a ratio scale has no negative numbers")
    kept = weights[:, counted.kept] if counted.small else weights[:1, counted.kept]
    return estimate(counted.alphas(level, kept), prompts=prompts)


def _agreeing_pairs(said: Sequence[Mark]) -> float:
    pairs = len(said) * (len(said) - 1)
    return sum(count * (count - 1) for count in Counter(said).values()) / pairs if pairs else float("nan")


def _vote(said: Sequence[Mark]) -> float:
    return float(2 * sum(mark == 1.0 for mark in said) > len(said))


def _unit_mean(values: Sequence[float], weights: Floats, why: str, prompts: int) -> Estimate:
    """The mean over units that have a value."""
    numbers = np.array(values)
    known = ~np.isnan(numbers)
    if not known.any():
        return Estimate(None, why=why)
    return estimate(ratio(weights[:, known] @ numbers[known], weights[:, known].sum(axis=1)), prompts=prompts)


def ratio(sums: Floats, totals: Floats) -> Floats:
    """Of each draw; NaN where it holds nothing."""
    return np.asarray(np.divide(sums, totals, out=np.full(len(sums), np.nan), where=totals > 0))


class Ceiling:
    """Every rater against the consensus of all others, over the units that they share.

    Attributes:
        raters: how many raters share enough units with others.
        coefficients: the Fisher average over raters.
    """

    def __init__(self, people: Mapping[Unit, Mapping[str, Mark]], by: str, draws: Draws) -> None:
        self._draws = draws
        self._others: list[dict[Unit, float]] = []
        self._prompts = draws.clusters(people)
        found = []
        for rater in dict.fromkeys(who for said in people.values() for who in said):
            pairs = {unit: pair for unit, said in people.items() if (pair := _left_out(said, rater, by)) is not None}
            if len(pairs) < LEAST_UNITS:
                continue
            own, others = (np.array([pair[place] for pair in pairs.values()]) for place in (0, 1))
            found.append(correlations(own, others, draws.weights(list(pairs))))
            self._others.append({unit: pair[1] for unit, pair in pairs.items()})
        self.raters = len(found)
        self.coefficients = _averaged(found, self._prompts)

    def judge(self, scores: Mapping[Unit, float]) -> dict[str, Estimate]:
        """The judge against the same consensus of all raters but one, averaged in the same way."""
        found = []
        for others in self._others:
            units = [unit for unit in others if unit in scores]
            own, rest = (np.array([of[unit] for unit in units], dtype=float) for of in (scores, others))
            found.append(correlations(own, rest, self._draws.weights(units)))
        return _averaged(found, self._prompts)


def _left_out(said: Mapping[str, Mark], rater: str, by: str) -> tuple[float, float] | None:
    """(the rater's mark, the others' consensus), None where there are not both."""
    own = said.get(rater)
    others = consensus({who: mark for who, mark in said.items() if who != rater}, by)
    return (own, others) if isinstance(own, float) and others is not None else None


def _averaged(found: Sequence[Mapping[str, Floats]], prompts: int) -> dict[str, Estimate]:
    """The average over raters of each coefficient, draw by draw."""
    if not found:
        return {name: Estimate(None, why=f"no rater shares {LEAST_UNITS} units with others") for name in NAMES}
    averages = {}
    for name in NAMES:
        draws = min(len(one[name]) for one in found)
        values = np.stack([one[name][:draws] for one in found])
        known = values[~np.isnan(values[:, 0])]
        mean = estimate(average(known), prompts=prompts) if len(known) else None
        averages[name] = mean or Estimate(None, why="no rater's marks vary")
    return averages
