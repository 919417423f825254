"""UniGenBench++'s sums: per kind of test point and per primary dimension, micro over all pictures.

Source: CodeGoat24/UniGenBench@49d0bce, eval/src/eval_common.py:382 (calculate_scores). The primary dimension is the
kind's name before its first dash, its blank included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """How many verdicts of a kind are met."""

    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share of met verdicts, in [0, 1]."""
        return self.correct / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums, kinds and dimensions in order of first appearance."""

    dimensions: Mapping[str, Share]
    kinds: Mapping[str, Share]

    @property
    def our_overall(self) -> float | None:
        """The share over all test points, which the official script does not compute; None without any."""
        total = sum(share.total for share in self.kinds.values())
        return sum(share.correct for share in self.kinds.values()) / total if total else None


def dimension_of(kind: str) -> str:
    """The primary dimension of a kind: ``Attribute - Color`` -> ``Attribute ``, blank included."""
    return kind.split("-", 1)[0]


def add_up(pictures: Iterable[tuple[Sequence[str], Sequence[bool]]]) -> Sums:
    """The sums over (kinds, verdicts) of pictures; a list that is longer than the other is cut, as officially."""
    dimensions: dict[str, list[bool]] = {}
    kinds: dict[str, list[bool]] = {}
    for points, verdicts in pictures:
        for kind, met in zip(points, verdicts, strict=False):
            dimensions.setdefault(dimension_of(kind), []).append(met)
            kinds.setdefault(kind, []).append(met)
    return Sums(*({name: Share(sum(met), len(met)) for name, met in group.items()} for group in (dimensions, kinds)))
