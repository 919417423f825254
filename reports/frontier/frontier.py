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

from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.types import Json
from reports.agreement.judge_agreement import JudgeMarks
from reports.agreement.marks import Draws, Unit
from reports.frontier.agreements import Agreements
from reports.frontier.coefficients import usual
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
    by = by or usual(np.array(list(reference.values()), dtype=np.float64))
    agreements = Agreements(reference, draws, by)
    priced = [(judge, costs.get(judge.name, Cost())) for judge in judges]
    currencies = known_currencies([cost for _, cost in priced])
    rivals = [(judge, cost) for judge, cost in priced if judge.name != called]
    rows = []
    for judge, cost in priced:
        by_whom = {name: _dominator(judge, rivals, name, agreements) for name in currencies if judge.name != called}
        dominated = {name: found for name, found in by_whom.items() if found is not None}
        rows.append(_row(judge, cost, reference, agreements, dominated, is_reference=judge.name == called))
    rest = _without_model(judges, {*free} - {called}, draws)
    return Frontier(factor, called, by, len(reference), tuple(rows), tuple(currencies), rest)


def _row(
    judge: JudgeMarks,
    cost: Cost,
    reference: Mapping[Unit, float],
    agreements: Agreements,
    dominated: Mapping[str, Dominator],
    *,
    is_reference: bool,
) -> FrontierRow:
    items = agreements.items(judge)
    rest = reference.keys() - set(items)
    unscored = sum(unit.item in judge.unscored for unit in rest)
    beside = sum(unit.item in judge.not_applicable for unit in rest)
    return FrontierRow(
        judge=judge.name,
        is_reference=is_reference,
        n=len(items),
        unscored=unscored,
        not_applicable=beside,
        not_asked=len(rest) - unscored - beside,
        agreement=Estimate(1.0, 1.0, 1.0) if is_reference else agreements.of(judge),
        cost=cost,
        dominated=dominated,
    )


def _dominator(
    one: JudgeMarks, rivals: Sequence[tuple[JudgeMarks, Cost]], currency: str, agreements: Agreements
) -> Dominator | None:
    """The judge that dominates this one: the most certain, of these the cheapest."""
    prices = {judge.name: cost.of(currency) for judge, cost in rivals}
    own, scored = prices[one.name], len(agreements.items(one))
    found: list[tuple[bool, float, Dominator]] = []
    for other, _ in rivals:
        price, more = prices[other.name], len(agreements.items(other)) - scored
        if other is one or own is None or price is None or price > own or more < 0:
            continue
        gain = agreements.gain(other, one)
        if gain.value is not None and gain.value >= 0 and (price < own or more > 0 or gain.value > 0):
            by_whom = Dominator(other.name, gain)
            found.append((not by_whom.certain, price, by_whom))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


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
    none = Estimate(None, why="no judge here does without a model")
    return WithoutModel(names, count, len(prompts), _wilson(count, len(prompts)) if names else none)


def _wilson(count: int, total: int) -> Estimate:
    """A share with Wilson's interval."""
    if not total:
        return Estimate(None, why="no prompt")
    # scipy.stats takes seconds to import.
    from scipy.stats import binomtest

    ends = binomtest(count, total).proportion_ci(0.95, "wilson")
    return Estimate(count / total, float(ends.low), float(ends.high))
