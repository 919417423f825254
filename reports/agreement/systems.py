"""Systems under two judges, or under a judge and people: their order, which pairs flip, and what a judge's own gain.

Items that both sides marked count, and nothing else, so that a difference is the judges' and not the pictures'.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.systems import (
    SystemScores,
    certainties,
    kendall_of_means,
    pair_difference,
    places,
    self_preference,
    soft_pairwise_accuracy,
)
from gotr1_eval.core.types import Json
from reports.agreement.marks import Draws, ItemFacts, Unit, base_name

DISTANCES = (0.01, 0.02, 0.05, 0.1)
"""Where the pairs of systems are split by their distance, in shares of the range of the other side's scores."""
Places = NDArray[np.intp]
Families = Mapping[str, Sequence[str]]
"""Judge (its full name, or that up to the bracket) -> systems of its own family."""


@dataclass(frozen=True, slots=True)
class SystemMean:
    """One system under both sides: its means, its places from 1, and how many items they stand on."""

    system: str
    mean: float
    against: float
    place: int
    place_against: int
    n: int


@dataclass(frozen=True, slots=True)
class SystemPair:
    """Two systems: the first's mean minus the second's under both sides, with intervals over prompts.

    Attributes:
        distance: of their means under the other side, as a share of the range of its scores.
    """

    first: str
    second: str
    judge: Estimate
    against: Estimate
    distance: float

    @property
    def flipped(self) -> bool:
        """Whether the two sides order them contrarily, however little apart."""
        return (self.judge.value or 0.0) * (self.against.value or 0.0) < 0

    @property
    def undecided(self) -> bool:
        """Whether on one side or both the interval holds 0."""
        return not (_decided(self.judge) and _decided(self.against))


def _decided(one: Estimate) -> bool:
    return one.low is not None and one.high is not None and (one.low > 0 or one.high < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemsRow:
    """A judge against people or another judge, system by system.

    Attributes:
        tau: Kendall's tau-b of the systems' means; its interval is the spread over draws of prompts, which says how
            stable the order is and does not hold the true tau in any given share of studies.
        soft: the soft pairwise accuracy.
        self_preference: judge -> how far it favours its own family over the other side, for those that have one.
    """

    judge: str
    against: str
    dimension: str
    prompts: int
    systems: Sequence[SystemMean]
    pairs: Sequence[SystemPair]
    tau: Estimate
    soft: float | None
    self_preference: Mapping[str, Mapping[str, Estimate]]

    def by_distance(self) -> Iterator[tuple[str, int, int, int]]:
        """(distance, pairs so far apart, of them flipped, of those decided on both sides), where there are any."""
        for low, high in itertools.pairwise((0.0, *DISTANCES, np.inf)):
            some = [pair for pair in self.pairs if low <= pair.distance < high]
            flipped = [pair for pair in some if pair.flipped]
            name = f"{low:.0%} to {high:.0%}" if np.isfinite(high) else f"{low:.0%} and more"
            if some:
                yield name, len(some), len(flipped), sum(not pair.undecided for pair in flipped)

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            **{name: getattr(self, name) for name in ("judge", "against", "dimension", "prompts")},
            "systems": [{name: getattr(one, name) for name in SystemMean.__slots__} for one in self.systems],
            "kendall_b": self.tau.json(),
            "soft_pairwise_accuracy": self.soft,
            "pairs": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "judge": pair.judge.json(),
                    "against": pair.against.json(),
                    "distance": pair.distance,
                    "flipped": pair.flipped,
                    "undecided": pair.undecided,
                }
                for pair in self.pairs
            ],
            "self_preference": {
                judge: {name: one.json() for name, one in found.items()}
                for judge, found in self.self_preference.items()
            },
        }


def check_families(families: Families, judges: Sequence[str], items: Mapping[str, ItemFacts]) -> None:
    """Refuse a family of an unknown judge or with an unknown system.

    Raises:
        UsageError: names what there is.
    """
    systems = {facts.system for facts in items.values() if facts.system is not None}
    known = {name for judge in judges for name in (judge, base_name(judge))}
    for judge, own in families.items():
        if judge not in known:
            raise UsageError(f"--family {judge}: there is no such judge{nearest_name(judge, known)}")
        for system in own:
            if system not in systems:
                found = ", ".join(sorted(systems)) or "none; a mapping names their column with `system`"
                raise UsageError(f"--family {judge}: there is no system {system!r} (there are: {found})")


def systems_row(
    judge: str,
    against: str,
    dimension: str,
    points: Sequence[tuple[float, float, Unit]],
    items: Mapping[str, ItemFacts],
    draws: Draws,
    families: Families,
) -> SystemsRow | None:
    """The row; None where fewer than two systems have items that both sides marked.

    Args:
        points: (judge's score, the other side's, unit) of what both marked.
    """
    placed = [(score, other, unit) for score, other, unit in points if items[unit.item].system is not None]
    names = list(dict.fromkeys(str(items[unit.item].system) for _, _, unit in placed))
    if len(names) < 2:
        return None
    units = [unit for _, _, unit in placed]
    columns = np.array([names.index(str(items[unit.item].system)) for unit in units])
    prompts, rows = np.unique(draws.places(units), return_inverse=True)
    base = draws.base(units)
    scores = [np.array([point[side] for point in placed]) for side in (0, 1)]
    sides = [_scores(values, base, rows, columns, (len(prompts), len(names))) for values in scores]
    often = draws.often(units)[:, prompts]
    favoured = {}
    for name, scores_of, others in ((judge, sides[0], sides[1]), (against, sides[1], sides[0])):
        if family := families.get(name, families.get(base_name(name))):
            favoured[name] = self_preference(scores_of, others, np.isin(names, family))
    certain = [certainties(side) for side in sides]
    return SystemsRow(
        judge=judge,
        against=against,
        dimension=dimension,
        prompts=len(prompts),
        systems=_means(names, sides, np.bincount(columns, minlength=len(names))),
        pairs=_pairs(names, sides, float(np.ptp(scores[1]))),
        tau=estimate(
            kendall_of_means(*(side.means(often) for side in sides)), "all means of one side are equal", len(prompts)
        ),
        soft=soft_pairwise_accuracy(*certain),
        self_preference=favoured,
    )


def _scores(values: Floats, base: Floats, rows: Places, columns: Places, shape: tuple[int, int]) -> SystemScores:
    sums, numbers = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (rows, columns), values * base)
    np.add.at(numbers, (rows, columns), base)
    return SystemScores(sums, numbers)


def _means(names: Sequence[str], sides: Sequence[SystemScores], counts: Places) -> list[SystemMean]:
    """The best of the other side first."""
    judge, against = (dict(zip(names, side.means()[0].tolist(), strict=True)) for side in sides)
    place, place_against = places(judge), places(against)
    found = [
        SystemMean(name, judge[name], against[name], place[name], place_against[name], int(count))
        for name, count in zip(names, counts, strict=True)
    ]
    return sorted(found, key=lambda one: one.place_against)


def _pairs(names: Sequence[str], sides: Sequence[SystemScores], spread: float) -> list[SystemPair]:
    found = []
    for first, second in itertools.combinations(range(len(names)), 2):
        judge, against = (pair_difference(side, first, second) for side in sides)
        distance = abs(against.value or 0.0) / spread if spread > 0 else 0.0
        found.append(SystemPair(names[first], names[second], judge, against, distance))
    return found
