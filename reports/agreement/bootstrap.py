"""Bootstrap by prompts drawn whole, written as weights: a row a draw, a column a unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.agreement.correlations import Floats
from reports.agreement.marks import ItemFacts, Unit

LEAST_DEFINED = 0.9
"""Share of draws in which a number must be defined for an interval to be given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: None where undefined; `why` then says why.
        low, high: None where there is no interval (fewer than two clusters, or too few draws in which it is defined).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


class Draws:
    """The same draws of prompts for everything that is computed from some items.

    Categories, judges and raters are then drawn together, so that averages over them have intervals as well.
    """

    def __init__(self, items: Mapping[str, ItemFacts], draws: int, seed: int) -> None:
        """Draws so many times among the prompts of the items; an item of no known prompt is one of its own."""
        clusters = {item: item if facts.prompt is None else facts.prompt for item, facts in items.items()}
        self._place = {name: place for place, name in enumerate(dict.fromkeys(clusters.values()))}
        self._clusters = clusters
        # Where only some items come from a design, their weights say nothing about all together.
        designed = all(facts.weight is not None for facts in items.values())
        self._base = {item: facts.weight or 1.0 if designed else 1.0 for item, facts in items.items()}
        size = len(self._place)
        generator = np.random.default_rng(seed)
        often = generator.multinomial(size, np.full(size, 1.0 / size), size=draws) if size else np.zeros((draws, 0))
        self._often = np.vstack([np.ones((1, size)), often])

    def clusters(self, units: Iterable[Unit]) -> int:
        """How many prompts the units are about."""
        return len({self._clusters[unit.item] for unit in units})

    def weights(self, units: Sequence[Unit]) -> Floats:
        """[1 + draws, units]: the first row is the data itself, each other row how often a draw holds the unit.

        Only the first row below two prompts, where nothing can be said about the spread.
        """
        base = np.array([self._base[unit.item] for unit in units], dtype=float)
        places = np.array([self._place[self._clusters[unit.item]] for unit in units], dtype=np.intp)
        often = self._often if self.clusters(units) > 1 else self._often[:1]
        return np.asarray(often[:, places] * base)


def estimate(values: Floats, why: str = "") -> Estimate:
    """The estimate whose first entry is the value itself and whose other entries are bootstrap draws."""
    first = float(values[0])
    if np.isnan(first):
        return Estimate(None, why=why or "undefined")
    drawn = values[1:]
    kept = drawn[~np.isnan(drawn)]
    if not len(drawn) or len(kept) < LEAST_DEFINED * len(drawn):
        return Estimate(first)
    low, high = np.percentile(kept, (2.5, 97.5))
    return Estimate(first, float(low), float(high))
