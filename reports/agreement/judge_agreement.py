"""One judge against people, or against another judge, on one dimension and in one category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from gotr1_eval.core.statistics import verdicts
from gotr1_eval.core.statistics.correlations import (
    NAMES,
    Average,
    Bounds,
    Marked,
    average,
    bounds,
    correlations,
    p_values,
    why_undefined,
)
from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.statistics.ranks import Floats, accuracies, calibrated_accuracy
from gotr1_eval.core.types import Json
from reports.agreement.marks import Draws, Mark, Unit
from reports.agreement.rater_agreement import Ceiling, consensus

PAIRWISE = "pairwise_accuracy"
PEOPLE = "people"
MOST_UNITS = 5000
"""Units whose pairs a row compares unless told otherwise: that work grows with the square of their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRow:
    """A judge against people.

    Attributes:
        against: `PEOPLE`, or the other judge.
        n: units that both marked; nothing else enters a coefficient.
        paired: units whose pairs the pairwise accuracy is about: all, or where those would be more than a row compares
            some, chosen by their names alone.
        unscored: units that people marked and the judge should have scored but did not, and why (`reasons`).
        not_applicable: units that people marked and of which the judge has nothing to say.
        not_asked: units that people marked and the judge was never asked about (ids that do not join).
        coefficients: pearson, spearman, kendall_b, kendall_c and pairwise accuracy.
        verdicts: of a judge against labels of 0 and 1 the numbers of `statistics.verdicts`; empty against other marks.
        epsilon: the difference of the judge's scores up to which the pairwise accuracy takes them as equal.
        p_values: of no association; without clusters and weights.
        bounds: between what a coefficient could be, had the unscored been scored; empty without unscored ones.
        ceiling: one rater against the consensus of the others, averaged over raters; None against another judge.
        beside_ceiling: the judge against the same consensus of all raters but one, on the same units.
        draws: of the bootstrap, coefficient by coefficient; the first entry is the value itself.
        points: (judge, people, unit) of every unit that both marked.
    """

    judge: str
    against: str
    dimension: str
    category: str
    n: int
    paired: int
    clusters: int
    unscored: int
    not_applicable: int
    not_asked: int
    reasons: Mapping[str, int]
    coefficients: Mapping[str, Estimate]
    verdicts: Mapping[str, Estimate]
    epsilon: float | None
    p_values: Mapping[str, float | None]
    bounds: Mapping[str, Bounds]
    ceiling: Ceiling | None
    beside_ceiling: Mapping[str, Estimate]
    draws: Mapping[str, Floats]
    points: Sequence[tuple[float, float, Unit]]

    @property
    def unscored_share(self) -> float:
        """Of the units that the judge was asked about and people marked."""
        due = self.n + self.unscored
        return self.unscored / due if due else 0.0

    def json(self) -> dict[str, Json]:
        """Everything but the points and the draws; undefined numbers are null with the reason beside them."""
        names = ("judge", "against", "dimension", "category", "n", "paired", "clusters")
        counts = ("unscored", "unscored_share", "not_applicable", "not_asked")
        plain: dict[str, Json] = {name: getattr(self, name) for name in (*names, *counts)}
        return {
            **plain,
            "reasons": dict(self.reasons),
            "coefficients": _json(self.coefficients),
            "verdicts": _json(self.verdicts),
            "epsilon": self.epsilon,
            "p_values": dict(self.p_values),
            "bounds": {name: list(bound) for name, bound in self.bounds.items()},
            "ceiling": None if self.ceiling is None else _json(self.ceiling.coefficients),
            "beside_ceiling": _json(self.beside_ceiling),
            "ceiling_raters": 0 if self.ceiling is None else self.ceiling.raters,
        }


def _json(estimates: Mapping[str, Estimate]) -> dict[str, Json]:
    return {name: one.json() for name, one in estimates.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeMarks:
    """What one judge said on one dimension.

    Attributes:
        unscored: item -> why.
        not_applicable: items.
    """

    name: str
    scores: Mapping[Unit, float]
    unscored: Mapping[str, str]
    not_applicable: frozenset[str]


def judge_row(
    judge: JudgeMarks,
    people: Mapping[Unit, Mapping[str, Mark]],
    *,
    dimension: str,
    category: str,
    by: str,
    draws: Draws,
    against: str = PEOPLE,
    most: int | None = MOST_UNITS,
    threshold: float = 0.5,
    ceiling: Ceiling | None = None,
) -> JudgeRow:
    """All numbers of one judge, dimension and category.

    Args:
        people: unit -> rater -> mark, of the category alone.
        by: "mean" or "majority", of people.
        most: units whose pairs are compared at most; None for all.
        threshold: a score from it on is a verdict of 1.
    """
    agreed = {unit: mark for unit, said in people.items() if (mark := consensus(said, by)) is not None}
    units = [unit for unit in agreed if unit in judge.scores]
    scores, marks = (np.array([of[unit] for unit in units], dtype=float) for of in (judge.scores, agreed))
    some = np.arange(len(units))
    if most is not None and len(units) > most:
        some = np.array(sorted(some, key=lambda place: _lot(units[place]))[:most])
    (merged, labels), weights = draws.merged(units, scores, marks)
    found = correlations(merged, labels, weights)
    found[PAIRWISE], epsilon = pairwise_accuracy(scores[some], marks[some], draws.weights([units[at] for at in some]))
    labelled = verdicts.are_labels(marks)
    judged = verdicts.verdict_numbers(merged, labels, weights, threshold) if labelled else {}
    why, prompts = why_undefined(scores, marks), draws.clusters(units)
    failed = [unit for unit in agreed if unit not in judge.scores and unit.item in judge.unscored]
    wanted = np.array([agreed[unit] for unit in failed])
    beside = sum(unit.item in judge.not_applicable for unit in agreed)
    return JudgeRow(
        judge=judge.name,
        against=against,
        dimension=dimension,
        category=category,
        n=len(units),
        paired=len(some),
        clusters=prompts,
        unscored=len(failed),
        not_applicable=beside,
        not_asked=len(agreed) - len(units) - len(failed) - beside,
        reasons=Counter(judge.unscored[unit.item] for unit in failed),
        coefficients={name: estimate(values, why, prompts) for name, values in found.items()},
        verdicts={
            name: estimate(values, verdicts.why_undefined(name, scores, marks), prompts)
            for name, values in judged.items()
        },
        epsilon=epsilon,
        p_values=p_values(scores, marks),
        bounds=bounds(
            Marked(scores, marks, draws.base(units), wanted, draws.base(failed)),
            epsilon or 0.0,
            some,
        ),
        ceiling=ceiling,
        beside_ceiling=ceiling.judge(judge.scores) if ceiling else {},
        draws=found,
        points=list(zip(scores.tolist(), marks.tolist(), units, strict=True)),
    )


def _lot(unit: Unit) -> bytes:
    return sha256("\n".join(unit).encode("utf-8", "surrogatepass")).digest()


def pairwise_accuracy(scores: Floats, people: Floats, weights: Floats) -> tuple[Floats, float | None]:
    """[1 + draws]: the accuracy with tie calibration, and its epsilon, found once and kept for all draws.

    Args:
        weights: [1 + draws, units] as `Draws.weights` gives them.
    """
    best = calibrated_accuracy(scores, people, weights[0])
    if best is None:
        return np.full(len(weights), np.nan), None
    return np.append(best.accuracy, accuracies(scores, people, best.epsilon, weights[1:])), best.epsilon


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageRow:
    """A judge's coefficients averaged over categories, as tables of benchmarks have them.

    Attributes:
        categories: name -> how many of the categories the average is over; in the others it is undefined.
    """

    judge: str
    dimension: str
    of: int
    categories: Mapping[str, int]
    coefficients: Mapping[str, Estimate]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "judge": self.judge,
            "dimension": self.dimension,
            "categories": self.of,
            "defined_in": dict(self.categories),
            "coefficients": _json(self.coefficients),
        }


def average_row(rows: Sequence[JudgeRow], how: Average) -> AverageRow:
    """The average over the rows of a judge and dimension; the pairwise accuracy's is the plain mean."""
    counts, coefficients = {}, {}
    for name in (*NAMES, PAIRWISE):
        draws = min(len(row.draws[name]) for row in rows)
        values = np.stack([row.draws[name][:draws] for row in rows])
        known = values[~np.isnan(values[:, 0])]
        counts[name] = len(known)
        mean = known.mean(axis=0) if name == PAIRWISE and len(known) else average(known, how) if len(known) else None
        fewest = min(row.clusters for row in rows)
        undefined = Estimate(None, why="undefined in every category")
        coefficients[name] = undefined if mean is None else estimate(mean, prompts=fewest)
    return AverageRow(
        judge=rows[0].judge,
        dimension=rows[0].dimension,
        of=len(rows),
        categories=counts,
        coefficients=coefficients,
    )
