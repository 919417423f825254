"""Marks: who gave which item which value on which dimension. People's ratings and judges' scores alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

Mark = float | str
"""A number, or a word where only equal and unequal count."""


class Unit(NamedTuple):
    """What is marked: an item, or a part of it where one dimension asks about several (object 0, object 1)."""

    item: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known about an item.

    Attributes:
        prompt: its cluster; items of one prompt are alike.
        weight: inverse of the probability with which it was drawn.
    """

    prompt: str
    category: str = "all"
    weight: float = 1.0


@dataclass(slots=True)
class Marks:
    """All marks of some tables.

    Attributes:
        values: dimension -> unit -> who -> mark.
        items: item -> facts.
        unscored: (dimension, who) -> item -> why there is no mark although one was due.
        repeats: (dimension, who) -> unit -> number of the repeat -> mark, the first one (0) included.
        left_out: a line for every mark that was left out: what, where, why.
        counts: how many rows were read, passed over by `where`, clipped to the end of a scale.
    """

    values: dict[str, dict[Unit, dict[str, Mark]]] = field(default_factory=dict)
    items: dict[str, ItemFacts] = field(default_factory=dict)
    unscored: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    repeats: dict[tuple[str, str], dict[Unit, dict[int, Mark]]] = field(default_factory=dict)
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

    def raters(self, dimension: str) -> list[str]:
        """Who marked anything on the dimension, by first appearance."""
        return list(dict.fromkeys(who for marks in self.values.get(dimension, {}).values() for who in marks))

    def update(self, other: Marks) -> None:
        """Take over the marks of another table by other people or judges."""
        for dimension, units in other.values.items():
            for unit, marks in units.items():
                self.values.setdefault(dimension, {}).setdefault(unit, {}).update(marks)
        self.items = other.items | self.items
        self.unscored |= other.unscored
        self.repeats |= other.repeats
        self.left_out += other.left_out
        self.counts += other.counts
