"""One judge against people, on one dimension and in one category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.agreement.bootstrap import Estimate, draw_weights, estimate
from reports.agreement.bounds import Bounds, bounds
from reports.agreement.correlations import NAMES, Floats, correlations, p_values, why_undefined
from reports.agreement.marks import ItemFacts, Mark, Unit
from reports.agreement.pairwise import accuracies, calibrated_accuracy
from reports.agreement.people import consensus

PAIRWISE = "pairwise_accuracy"
LEAST_UNITS = 10
"""Units that a rater must share with others for the human ceiling; a correlation over fewer says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRow:
    """A judge against people.

    Attributes:
        n: units that both marked; nothing else enters a coefficient.
        unscored: units that people marked and the judge should have scored but did not, and why (`reasons`).
        not_asked: units that people marked and the judge was never asked about (ids that do not join).
        coefficients: pearson, spearman, kendall_b, kendall_c and pairwise accuracy.
        epsilon: the difference of the judge's scores below which the pairwise accuracy takes them as equal.
        p_values: of no association; without clusters and weights.
        bounds: between what a coefficient could be, had the unscored been scored; None without unscored ones.
        ceiling: one rater against the mean of the others, averaged over raters.
        beside_ceiling: the judge against the same means of all raters but one, on the same units.
        ceiling_raters: how many raters the ceiling stands on.
        points: (judge, people, unit) of every unit that both marked.
    """

    judge: str
    dimension: str
    category: str
    n: int
    clusters: int
    unscored: int
    not_asked: int
    reasons: Mapping[str, int]
    coefficients: Mapping[str, Estimate]
    epsilon: float | None
    p_values: Mapping[str, float | None]
    bounds: Mapping[str, Bounds]
    ceiling: Mapping[str, Estimate]
    beside_ceiling: Mapping[str, Estimate]
    ceiling_raters: int
    points: Sequence[tuple[float, float, Unit]]

    @property
    def unscored_share(self) -> float:
        """Of the units that the judge was asked about and people marked."""
        due = self.n + self.unscored
        return self.unscored / due if due else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is compared: people's marks and a judge's on the same units.

    Attributes:
        people: unit -> rater -> mark.
        judge: unit -> mark.
        unscored: item -> why.
        by: "mean" or "majority", of people.
    """

    people: Mapping[Unit, Mapping[str, Mark]]
    judge: Mapping[Unit, Mark]
    unscored: Mapping[str, str]
    items: Mapping[str, ItemFacts]
    by: str
    draws: int
    seed: int

    def weights(self, units: Sequence[Unit]) -> Floats:
        """Bootstrap weights of some units, prompts drawn whole."""
        facts = [self.items[unit.item] for unit in units]
        base = np.array([fact.weight for fact in facts], dtype=float)
        return draw_weights([fact.prompt for fact in facts], self.draws, self.seed, base)


def judge_row(judge: str, dimension: str, category: str, question: Question) -> JudgeRow:
    """All numbers of one judge, dimension and category."""
    points = _points(question)
    units = [unit for _, _, unit in points]
    scores, people = (np.array([point[place] for point in points], dtype=float) for place in (0, 1))
    coefficients, epsilon = compare(scores, people, question.weights(units))
    failed = [unit for unit in question.people if unit not in question.judge and unit.item in question.unscored]
    wanted = [consensus(question.people[unit], question.by) for unit in failed]
    ceiling, beside, raters = _ceiling(question)
    return JudgeRow(
        judge=judge,
        dimension=dimension,
        category=category,
        n=len(points),
        clusters=len({question.items[unit.item].prompt for unit in units}),
        unscored=len(failed),
        not_asked=sum(u not in question.judge and u.item not in question.unscored for u in question.people),
        reasons=_tally(question.unscored[unit.item] for unit in failed),
        coefficients=coefficients,
        epsilon=epsilon,
        p_values=p_values(scores, people),
        bounds=bounds(scores, people, np.array([mark for mark in wanted if mark is not None]), epsilon or 0.0),
        ceiling=ceiling,
        beside_ceiling=beside,
        ceiling_raters=raters,
        points=points,
    )


def compare(scores: Floats, people: Floats, weights: Floats) -> tuple[dict[str, Estimate], float | None]:
    """All coefficients of two columns with intervals, and the epsilon of the pairwise accuracy.

    Args:
        weights: [1 + draws, units] as `draw_weights` gives them.
    """
    why = why_undefined(scores, people)
    found = {name: estimate(values, why) for name, values in correlations(scores, people, weights).items()}
    best = calibrated_accuracy(scores, people, weights[0])
    if best is None:
        return found | {PAIRWISE: Estimate(None, why="fewer than two items")}, None
    return found | {PAIRWISE: estimate(accuracies(scores, people, best.epsilon, weights))}, best.epsilon


def _points(question: Question) -> list[tuple[float, float, Unit]]:
    found = []
    for unit, said in question.people.items():
        mark, agreed = question.judge.get(unit), consensus(said, question.by)
        if isinstance(mark, float) and agreed is not None:
            found.append((mark, agreed, unit))
    return found


def _ceiling(question: Question) -> tuple[dict[str, Estimate], dict[str, Estimate], int]:
    """(one rater against the others, the judge against the same others, raters that could be compared)."""
    one: list[dict[str, Floats]] = []
    beside: list[dict[str, Floats]] = []
    for rater in dict.fromkeys(who for said in question.people.values() for who in said):
        triples = list(_left_out(question, rater))
        if len(triples) < LEAST_UNITS:
            continue
        own, others, judge = (np.array([triple[place] for triple in triples], dtype=float) for place in range(3))
        weights = question.weights([triple[3] for triple in triples])
        one.append(correlations(own, others, weights))
        scored = ~np.isnan(judge)
        beside.append(correlations(judge[scored], others[scored], weights[:, scored]))
    return _averaged(one), _averaged(beside), len(one)


def _left_out(question: Question, rater: str) -> list[tuple[float, float, float, Unit]]:
    """(the rater's mark, the others' consensus, the judge's score or NaN, unit)."""
    found = []
    for unit, said in question.people.items():
        own = said.get(rater)
        others = consensus({who: mark for who, mark in said.items() if who != rater}, question.by)
        if isinstance(own, float) and others is not None:
            mark = question.judge.get(unit)
            found.append((own, others, mark if isinstance(mark, float) else float("nan"), unit))
    return found


def _averaged(found: Sequence[Mapping[str, Floats]]) -> dict[str, Estimate]:
    """The Fisher average over raters of each coefficient, draw by draw."""
    if not found:
        return {name: Estimate(None, why=f"no rater shares {LEAST_UNITS} units with others") for name in NAMES}
    averages = {}
    for name in NAMES:
        values = np.stack([one[name] for one in found])
        known = values[~np.isnan(values[:, 0])]
        with np.errstate(divide="ignore", invalid="ignore"):
            averages[name] = (
                estimate(np.tanh(np.arctanh(known).mean(axis=0)))
                if len(known)
                else Estimate(None, why="no rater's marks vary")
            )
    return averages


def _tally(words: object) -> dict[str, int]:
    tally: dict[str, int] = {}
    for word in words:  # type: ignore[attr-defined]
        tally[word] = tally.get(word, 0) + 1
    return tally
