"""Means that carry their counts, and intervals that respect that pictures of one prompt are alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gotr1_eval.core.intervals import prompt_analytic, prompt_bootstrap, seed_analytic
from gotr1_eval.core.outcome import Outcome, Score, Why


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
    groups = list(values.values())
    low, high = prompt_bootstrap(groups, seed)
    analytic_low, analytic_high = prompt_analytic(groups)
    seeds_low, seeds_high = seed_analytic(groups)
    return Summary(
        mean=math.fsum(flat) / len(flat) if flat else None,
        low=low,
        high=high,
        scored=len(flat),
        unscored=unscored,
        not_applicable=not_applicable,
        missing=missing,
        analytic_low=analytic_low,
        analytic_high=analytic_high,
        seeds_low=seeds_low,
        seeds_high=seeds_high,
    )
