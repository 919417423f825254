"""The frontier of one factor: every judge's agreement with a reference beside its cost, and who is dominated.

A judge is dominated in a currency where another one costs no more, agrees no less on the items that both scored, and
scores no fewer of the reference's items, and is better in one of these. Both are held against each other on common
items, since a judge that scores the easy half alone would look good on its own. A judge that is the reference itself
stands beside the others: it agrees by definition, so that it dominates nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.types import Json
from reports.agreement.judge_agreement import JudgeMarks
from reports.agreement.marks import Draws, Unit
from reports.frontier.coefficients import coefficient, usual, why_none
from reports.frontier.costs import Cost, known_currencies


@dataclass(frozen=True, slots=True)
class Dominator:
    """A judge that is at least as good in everything and better in something.

    Attributes:
        gain: its agreement minus the other's on common items, with the interval over prompts.
    """

    judge: str
    gain: Estimate

    @property
    def certain(self) -> bool:
        """Whether the interval of the gain begins at 0 or above: otherwise it may be the other way round."""
        return self.gain.low is not None and self.gain.low >= 0

    def json(self) -> dict[str, Json]:
        return {"judge": self.judge, "gain": self.gain.json(), "certain": self.certain}


@dataclass(frozen=True, slots=True)
class FrontierRow:
    """One judge.

    Attributes:
        is_reference: the others are held against it; its agreement with itself is 1 by definition.
        n, unscored, not_applicable, not_asked: of the reference's items those that it scored, failed to score, has
            nothing to say about, and was never asked about.
        dominated: currency -> who dominates it; the most certain one, of these the cheapest.
    """

    judge: str
    is_reference: bool
    n: int
    unscored: int
    not_applicable: int
    not_asked: int
    agreement: Estimate
    cost: Cost
    dominated: Mapping[str, Dominator]

    def json(self) -> dict[str, Json]:
        return {
            "judge": self.judge,
            "is_reference": self.is_reference,
            "n": self.n,
            "unscored": self.unscored,
            "not_applicable": self.not_applicable,
            "not_asked": self.not_asked,
            "agreement": self.agreement.json(),
            "cost": self.cost.json(),
            "dominated": {currency: by.json() for currency, by in self.dominated.items()},
        }


@dataclass(frozen=True, slots=True)
class WithoutModel:
    """How many prompts need no model: all of their items are scored by a judge that asks none.

    Attributes:
        judges: those that ask none, besides the reference.
        share: with Wilson's 95 % interval; undefined without such a judge.
    """

    judges: tuple[str, ...]
    decided: int
    prompts: int
    share: Estimate

    def json(self) -> dict[str, Json]:
        return {
            "judges": list(self.judges),
            "decided": self.decided,
            "prompts": self.prompts,
            "share": self.share.json(),
        }


@dataclass(frozen=True, slots=True)
class Frontier:
    """One factor, or one of people's dimensions.

    Attributes:
        reference: the judge, or people on a dimension.
        by: the name of the coefficient.
        currencies: in which its judges can be compared.
    """

    factor: str
    reference: str
    by: str
    items: int
    rows: tuple[FrontierRow, ...]
    currencies: tuple[str, ...]
    without_model: WithoutModel

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "factor": self.factor,
            "reference": self.reference,
            "coefficient": self.by,
            "items": self.items,
            "currencies": list(self.currencies),
            "judges": [row.json() for row in self.rows],
            "without_model": self.without_model.json(),
        }


@dataclass(frozen=True, slots=True)
class _Scored:
    """A judge's scores on the reference's items."""

    judge: JudgeMarks
    is_reference: bool
    cost: Cost
    units: Sequence[Unit]


def frontier(
    factor: str,
    judges: Sequence[JudgeMarks],
    reference: Mapping[Unit, float],
    draws: Draws,
    costs: Mapping[str, Cost],
    *,
    called: str,
    by: str | None = None,
    free: Collection[str] = (),
) -> Frontier:
    """The frontier of these judges.

    Args:
        reference: item -> mark; a judge of the name `called` is the reference itself.
        costs: judge -> cost.
        by: of `COEFFICIENTS`; None takes the usual one of the reference.
        free: judges that ask no model.
    """
    marks = np.array(list(reference.values()), dtype=np.float64)
    by = by or usual(marks)
    scored = [
        _Scored(judge, judge.name == called, costs.get(judge.name, Cost()), [u for u in reference if u in judge.scores])
        for judge in judges
    ]
    currencies = known_currencies([one.cost for one in scored])
    rows = [
        _row(one, reference, draws, by, {name: found for name in currencies if (found := _dominator(
            one, scored, name, reference, draws, by)) is not None})
        for one in scored
    ]  # fmt: skip
    rest = _without_model(judges, {*free} - {called}, draws)
    return Frontier(factor, called, by, len(reference), tuple(rows), tuple(currencies), rest)


def _row(
    one: _Scored, reference: Mapping[Unit, float], draws: Draws, by: str, dominated: Mapping[str, Dominator]
) -> FrontierRow:
    judge, has = one.judge, set(one.units)
    rest = [unit for unit in reference if unit not in has]
    unscored = sum(unit.item in judge.unscored for unit in rest)
    beside = sum(unit.item in judge.not_applicable for unit in rest)
    found = Estimate(1.0, 1.0, 1.0) if one.is_reference else _agreement(one, one.units, reference, draws, by)
    return FrontierRow(
        judge=judge.name,
        is_reference=one.is_reference,
        n=len(one.units),
        unscored=unscored,
        not_applicable=beside,
        not_asked=len(rest) - unscored - beside,
        agreement=found,
        cost=one.cost,
        dominated=dominated,
    )


def _agreement(one: _Scored, units: Sequence[Unit], reference: Mapping[Unit, float], draws: Draws, by: str) -> Estimate:
    values = _values(one, units, reference, draws, by)
    scores, marks = _columns(one, units, reference)
    return estimate(values, why_none(by, scores, marks), draws.clusters(units))


def _columns(one: _Scored, units: Sequence[Unit], reference: Mapping[Unit, float]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.array([one.judge.scores[unit] for unit in units], dtype=np.float64)
    return scores, np.array([reference[unit] for unit in units], dtype=np.float64)


def _values(one: _Scored, units: Sequence[Unit], reference: Mapping[Unit, float], draws: Draws, by: str) -> np.ndarray:
    """[1 + draws]."""
    if not units:
        return np.full(1, np.nan)
    return coefficient(by, *_columns(one, units, reference), draws.weights(units))


def _dominator(
    one: _Scored, others: Sequence[_Scored], currency: str, reference: Mapping[Unit, float], draws: Draws, by: str
) -> Dominator | None:
    """The judge that dominates this one: the most certain, of these the cheapest."""
    own = one.cost.of(currency)
    found: list[tuple[bool, float, Dominator]] = []
    for other in others:
        price = other.cost.of(currency)
        if (
            other is one
            or other.is_reference
            or own is None
            or price is None
            or price > own
            or len(other.units) < len(one.units)
        ):
            continue
        gain = _gain(other, one, reference, draws, by)
        better = price < own or len(other.units) > len(one.units) or (gain.value or 0.0) > 0
        if gain.value is not None and gain.value >= 0 and better:
            by_whom = Dominator(other.judge.name, gain)
            found.append((not by_whom.certain, price, by_whom))
    return min(found, key=lambda entry: entry[:2])[2] if found and not one.is_reference else None


def _gain(other: _Scored, one: _Scored, reference: Mapping[Unit, float], draws: Draws, by: str) -> Estimate:
    """How much more the other agrees, on the items that both scored; undefined where one of the two is."""
    has = set(other.units)
    common = [unit for unit in one.units if unit in has]
    ours, theirs = (_values(each, common, reference, draws, by) for each in (one, other))
    return estimate(theirs - ours, "undefined on the common items", draws.clusters(common) if common else 0)


def _without_model(judges: Sequence[JudgeMarks], free: Collection[str], draws: Draws) -> WithoutModel:
    """Over all prompts about which any of the judges has something to say."""
    names = tuple(judge.name for judge in judges if judge.name in free)
    items: dict[str, bool] = {}
    for judge in judges:
        items |= dict.fromkeys([*(unit.item for unit in judge.scores), *judge.unscored], False)
    for judge in judges:
        if judge.name in names:
            items |= dict.fromkeys([unit.item for unit in judge.scores], True)
    prompts: dict[int, bool] = {}
    for item, decided in items.items():
        place = int(draws.places([Unit(item)])[0])
        prompts[place] = prompts.get(place, True) and decided
    count = sum(prompts.values())
    return WithoutModel(names, count, len(prompts), _wilson(count, len(prompts)) if names else Estimate(
        None, why="no judge here does without a model"))  # fmt: skip


def _wilson(count: int, total: int) -> Estimate:
    """A share with Wilson's interval."""
    if not total:
        return Estimate(None, why="no prompt")
    # scipy.stats takes seconds to import.
    from scipy.stats import binomtest

    ends = binomtest(count, total).proportion_ci(0.95, "wilson")
    return Estimate(count / total, float(ends.low), float(ends.high))
