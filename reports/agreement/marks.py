"""Marks: who gave which item which value on which dimension. People's ratings and judges' scores alike.

Their bootstrap draws prompts whole, and is written as weights: a row a draw, a column a unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.statistics.ranks import Floats

Mark = float | str
"""A number, or a word where only equal and unequal count."""


def base_name(judge: str) -> str:
    """A judge's name without its model and calibration: "spatial" of "spatial[Qwen]+calibrated[first]"."""
    return judge.partition("[")[0].partition("+")[0]


class Unit(NamedTuple):
    """What is marked: an item, or a part of it where one dimension asks about several (object 0, object 1)."""

    item: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known about an item; None where a table does not say.

    Attributes:
        prompt: its cluster; items of one prompt are alike.
        category: by which results are split.
        weight: inverse of the probability with which it was drawn.
        stratum: the cell of the design from which it was drawn.
        system: the generator or model that made it.
    """

    prompt: str | None = None
    category: str | None = None
    weight: float | None = None
    stratum: str | None = None
    system: str | None = None

    def over(self, other: ItemFacts) -> ItemFacts:
        """These facts, with the other's where these are unknown."""
        known = (getattr(self, fact.name) for fact in fields(self))
        return ItemFacts(
            *(getattr(other, fact.name) if one is None else one for one, fact in zip(known, fields(self), strict=True))
        )


@dataclass(slots=True)
class Marks:
    """All marks of some tables.

    Attributes:
        values: dimension -> unit -> who -> mark.
        items: item -> facts.
        unscored: (dimension, who) -> item -> why there is no mark although one was due.
        not_applicable: (dimension, who) -> items of which a judge has nothing to say; no failure.
        repeats: (dimension, who) -> unit -> number of the repeat -> mark, the first one (0) included.
        pairs: item -> the names of the two samples that it holds against each other, in the order in which they sort.
        served_by: dimension -> the judge that scores the same thing, without its model ("semantic").
        left_out: a line for every mark that was left out: what, where, why.
        counts: how many rows were read, passed over by `where`, clipped to the end of a scale.
    """

    values: dict[str, dict[Unit, dict[str, Mark]]] = field(default_factory=dict)
    items: dict[str, ItemFacts] = field(default_factory=dict)
    unscored: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    not_applicable: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    repeats: dict[tuple[str, str], dict[Unit, dict[int, Mark]]] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    served_by: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, dimension: str, unit: Unit, who: str, mark: Mark, repeat: int = 0) -> bool:
        """Keep a mark; False where there is one already."""
        again = self.repeats.setdefault((dimension, who), {}).setdefault(unit, {})
        if repeat in again:
            return False
        again[repeat] = mark
        if repeat == 0:
            self.values.setdefault(dimension, {}).setdefault(unit, {})[who] = mark
        return True

    def miss(self, dimension: str, who: str, item: str, why: str) -> None:
        """A mark that was due and is not there."""
        self.unscored.setdefault((dimension, who), {})[item] = why

    def withdraw(self, dimension: str, who: str, items: Collection[str]) -> None:
        """Take the marks of some items away; they are unscored then."""
        again = self.repeats.get((dimension, who), {})
        for unit in [unit for unit in again if unit.item in items]:
            del again[unit]
            self.values[dimension][unit].pop(who, None)
            if not self.values[dimension][unit]:
                del self.values[dimension][unit]
            self.miss(dimension, who, unit.item, "another dimension is missing")

    def who(self) -> list[tuple[str, str]]:
        """(dimension, who) of everybody who marked or should have, by first appearance."""
        return list(dict.fromkeys([*self.repeats, *self.unscored, *self.not_applicable]))

    def scores(self, dimension: str, who: str) -> dict[Unit, Mark]:
        """One judge's or rater's marks on a dimension."""
        return {unit: again[0] for unit, again in self.repeats.get((dimension, who), {}).items() if 0 in again}

    def learn(self, item: str, facts: ItemFacts) -> None:
        """Note facts about an item; what is known already stays."""
        self.items[item] = self.items[item].over(facts) if item in self.items else facts

    def fill_absent(self, items: Iterable[str], value: float) -> None:
        """Give every judge the value on those items that no row of the table is about."""
        absent = [item for item in items if item not in self.items]
        for dimension, who in self.who():
            for item in absent:
                self.add(dimension, Unit(item), who, value)
                self.counts[f"rated items without a row, taken as {value:g}"] += 1
        for item in absent:
            self.learn(item, ItemFacts())

    def names(self) -> set[str]:
        """Of all items, and of the samples that pairs are made of."""
        return {*self.items, *(side for pair in self.pairs.values() for side in pair)}

    def merge(self, other: Marks) -> None:
        """Take over the marks of another table, about other items or by others; facts known here stay."""
        for (dimension, who), units in other.repeats.items():
            for unit, again in units.items():
                for repeat, mark in again.items():
                    self.add(dimension, unit, who, mark, repeat)
        for item, facts in other.items.items():
            self.learn(item, facts)
        for key, why in other.unscored.items():
            self.unscored.setdefault(key, {}).update(why)
        for key, items in other.not_applicable.items():
            self.not_applicable.setdefault(key, set()).update(items)
        self.left_out += other.left_out
        self.counts += other.counts


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
        self._often: Floats = np.vstack([np.ones((1, size)), often]).astype(np.float64)

    def clusters(self, units: Iterable[Unit]) -> int:
        """How many prompts the units are about."""
        return len({self._clusters[unit.item] for unit in units})

    def weights(self, units: Sequence[Unit]) -> Floats:
        """[1 + draws, units]: the first row is the data itself, each other row how often a draw holds the unit.

        Only the first row below two prompts, where nothing can be said about the spread.
        """
        return np.asarray(self.often(units)[:, self.places(units)] * self.base(units), dtype=np.float64)

    def often(self, units: Sequence[Unit]) -> Floats:
        """[1 + draws, prompts]: the same for prompts; `places` says which is whose."""
        return self._often if self.clusters(units) > 1 else self._often[:1]

    def places(self, units: Sequence[Unit]) -> NDArray[np.intp]:
        """[units]: the number of each one's prompt."""
        return np.array([self._place[self._clusters[unit.item]] for unit in units], dtype=np.intp)

    def base(self, units: Sequence[Unit]) -> Floats:
        """[units]: how often each stands for others in the data itself."""
        return np.array([self._base[unit.item] for unit in units], dtype=np.float64)

    def merged(self, units: Sequence[Unit], *columns: Floats) -> tuple[list[Floats], Floats]:
        """The columns' distinct rows within a prompt, and their weights: what only weighs items comes out the same.

        Of verdicts there are many on one prompt and few different ones.
        """
        places = self.places(units)
        table, group = np.unique(np.column_stack([places, *columns]), axis=0, return_inverse=True)
        base = np.bincount(group.ravel(), self.base(units), minlength=len(table)).astype(np.float64)
        rows = table[:, 0].astype(np.intp)
        weights: Floats = np.asarray(self.often(units)[:, rows] * base, dtype=np.float64)
        return [np.ascontiguousarray(column) for column in table[:, 1:].T], weights
