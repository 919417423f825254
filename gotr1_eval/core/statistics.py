"""Means that carry their counts, and intervals that respect that pictures of one prompt are alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.outcome import Outcome, Score, Why

DRAWS = 2000
"""Bootstrap draws of an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A mean with everything needed to trust it.

    Attributes:
        mean: over the scored samples; None when there is none.
        low, high: 95 % interval over prompts (percentile bootstrap, prompts drawn whole); None below two prompts.
        scored, unscored, not_applicable, missing: how many samples ended how; missing ones have no judgment at all.
    """

    mean: float | None
    low: float | None
    high: float | None
    scored: int
    unscored: int
    not_applicable: int
    missing: int

    @property
    def coverage(self) -> float:
        """Share scored of those that should have been, in [0, 1]; 1 when nothing should have been."""
        due = self.scored + self.unscored + self.missing
        return self.scored / due if due else 1.0

    def __str__(self) -> str:
        mean = "no score" if self.mean is None else f"{self.mean:.3f}"
        interval = "" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return (
            f"{mean}{interval} (n={self.scored}, unscored {self.unscored}, "
            f"not applicable {self.not_applicable}, missing {self.missing})"
        )


def summarise(outcomes: Iterable[tuple[str, Outcome | None]], seed: int = 0) -> Summary:
    """Mean, counts and interval.

    Args:
        outcomes: (prompt's identity, outcome) of every expected sample; None where there is no judgment.
        seed: of the bootstrap.
    """
    values: dict[str, list[float]] = {}
    unscored = not_applicable = missing = 0
    for prompt, outcome in outcomes:
        if outcome is None:
            missing += 1
        elif isinstance(outcome, Score):
            values.setdefault(prompt, []).append(outcome.value)
        elif outcome.why is Why.NOT_APPLICABLE:
            not_applicable += 1
        else:
            unscored += 1
    flat = [value for group in values.values() for value in group]
    low, high = clustered_interval(list(values.values()), seed)
    return Summary(
        mean=math.fsum(flat) / len(flat) if flat else None,
        low=low,
        high=high,
        scored=len(flat),
        unscored=unscored,
        not_applicable=not_applicable,
        missing=missing,
    )


def clustered_interval(groups: Sequence[Sequence[float]], seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the mean over all values, drawing whole groups.

    Returns:
        (low, high), or (None, None) below two groups, where nothing can be said about the spread.
    """
    if len(groups) < 2:
        return None, None
    sums = np.array([math.fsum(group) for group in groups])
    counts = np.array([len(group) for group in groups])
    generator = np.random.default_rng(seed)
    chosen = generator.integers(0, len(groups), size=(DRAWS, len(groups)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
