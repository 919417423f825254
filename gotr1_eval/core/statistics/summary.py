"""Means that carry their counts, and intervals that respect that pictures of one prompt are alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gotr1_eval.core.outcome import Outcome, Score, Why
from gotr1_eval.core.statistics.intervals import (
    Groups,
    inside,
    overall_analytic,
    overall_bootstrap,
    overall_mean,
    overall_seeds,
)

ANYWHERE = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A mean with everything needed to trust it.

    Attributes:
        mean: over the scored samples; None when there is none.
        low, high: 95 % interval over prompts (expanded percentile bootstrap of whole prompts); None below two prompts.
        analytic_low, analytic_high: the same interval in the analytic form.
        seeds_low, seeds_high: 95 % interval over seeds with these prompts fixed; None where a prompt has one score.
        scored, unscored, not_applicable, missing: how many samples ended how; missing ones have no judgment at all.
    """

    mean: float | None
    low: float | None
    high: float | None
    scored: int
    unscored: int
    not_applicable: int
    missing: int
    analytic_low: float | None = None
    analytic_high: float | None = None
    seeds_low: float | None = None
    seeds_high: float | None = None

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


Judged = Iterable[tuple[str, Outcome | None]]
"""(prompt's identity, outcome) of every expected sample; None where there is no judgment."""


def summarise(outcomes: Judged, seed: int = 0, within: tuple[float, float] = ANYWHERE) -> Summary:
    """Mean, counts and intervals.

    Args:
        seed: of the bootstrap.
        within: the range of the judge's values, which no interval leaves.
    """
    return summarise_tasks([outcomes], seed, within)


def summarise_tasks(tasks: Iterable[Judged], seed: int = 0, within: tuple[float, float] = ANYWHERE) -> Summary:
    """The mean of the tasks' means, each task with a score counting alike; prompts are drawn within their task."""
    judged = [list(outcomes) for outcomes in tasks]
    counts = Counter(kind(outcome) for outcomes in judged for _, outcome in outcomes)
    groups = [values for outcomes in judged if (values := scored_groups(outcomes))]
    return summarise_groups(groups, counts, seed, within)


def summarise_groups(
    groups: Sequence[Groups], counts: Mapping[str, int], seed: int = 0, within: tuple[float, float] = ANYWHERE
) -> Summary:
    """The same from each task's values by prompt, and from how many samples are of which `kind`."""
    low, high = inside(overall_bootstrap(groups, seed), within)
    analytic_low, analytic_high = inside(overall_analytic(groups), within)
    seeds_low, seeds_high = inside(overall_seeds(groups), within)
    return Summary(
        mean=overall_mean(groups),
        low=low,
        high=high,
        scored=counts.get("scored", 0),
        unscored=counts.get("unscored", 0),
        not_applicable=counts.get("not applicable", 0),
        missing=counts.get("missing", 0),
        analytic_low=analytic_low,
        analytic_high=analytic_high,
        seeds_low=seeds_low,
        seeds_high=seeds_high,
    )


def scored_groups(outcomes: Judged) -> list[list[float]]:
    """The values of each prompt that has any."""
    values: dict[str, list[float]] = {}
    for prompt, outcome in outcomes:
        if isinstance(outcome, Score):
            values.setdefault(prompt, []).append(outcome.value)
    return list(values.values())


def kind(outcome: Outcome | None) -> str:
    """How a sample ended: scored, unscored, not applicable or missing."""
    if outcome is None:
        return "missing"
    if isinstance(outcome, Score):
        return "scored"
    return "not applicable" if outcome.why is Why.NOT_APPLICABLE else "unscored"
