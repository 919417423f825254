"""What a cascade is fitted on: items that the cheap judge saw, the strong judge scored and a reference knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.statistics.ranks import Floats
from reports.agreement.marks import Unit
from rewards.light.doubt import Evidence, believed, doubt

LEAST_ITEMS, LEAST_PROMPTS = 20, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Items that the cheap judge saw, the strong judge scored and the reference knows.

    Attributes:
        prompts: of every item.
        cheap: its scores; NaN where it scored nothing.
        doubts: its doubt of them; NaN where it scored nothing.
        strong, reference: scores and marks.
        left_out: why other items of the reference do not count -> how many.
    """

    prompts: Sequence[str]
    cheap: Floats
    doubts: Floats
    strong: Floats
    reference: Floats
    left_out: Mapping[str, int]

    def passed(self, threshold: float) -> NDArray[np.bool_]:
        """[items]: which go to the strong judge."""
        return np.array(
            [bool(np.isnan(one)) or not believed(one, threshold) for one in self.doubts.tolist()], dtype=bool
        )

    def scores(self, threshold: float) -> Floats:
        """[items]: the cascade's."""
        return np.where(self.passed(threshold), self.strong, self.cheap)

    def some(self, places: NDArray[np.intp]) -> Study:
        """The items at these places."""
        return Study(
            prompts=[self.prompts[place] for place in places],
            cheap=self.cheap[places],
            doubts=self.doubts[places],
            strong=self.strong[places],
            reference=self.reference[places],
            left_out={},
        )


def make_study(
    cheap: Mapping[str, Outcome],
    strong: Mapping[Unit, float],
    reference: Mapping[Unit, float],
    prompts: Mapping[Unit, str],
    *,
    evidence: Evidence,
    ends: tuple[float, float],
) -> Study:
    """The study of two judges.

    Args:
        cheap: item -> outcome.
        ends: the cheap judge's range.

    Raises:
        UsageError: too few items.
    """
    left_out: dict[str, int] = {}
    kept: list[tuple[Unit, Outcome]] = []
    for unit in reference:
        outcome = cheap.get(unit.item)
        why = _why_not(outcome, unit in strong)
        if outcome is None or why:
            left_out[why] = left_out.get(why, 0) + 1
        else:
            kept.append((unit, outcome))
    if len(kept) < LEAST_ITEMS or len({prompts[unit] for unit, _ in kept}) < LEAST_PROMPTS:
        told = ", ".join(f"{count} {why}" for why, count in left_out.items()) or "the reference knows no more"
        raise UsageError(
            f"cascade: expected at least {LEAST_ITEMS} items of {LEAST_PROMPTS} prompts that both judges saw and the "
            f"reference knows, got {len(kept)} ({told})"
        )
    scores = [outcome if isinstance(outcome, Score) else None for _, outcome in kept]
    return Study(
        prompts=[prompts[unit] for unit, _ in kept],
        cheap=np.array([np.nan if one is None else one.value for one in scores]),
        doubts=np.array([np.nan if one is None else doubt(one, evidence, ends) for one in scores]),
        strong=np.array([strong[unit] for unit, _ in kept], dtype=np.float64),
        reference=np.array([reference[unit] for unit, _ in kept], dtype=np.float64),
        left_out=left_out,
    )


def _why_not(outcome: Outcome | None, scored: bool) -> str:
    if outcome is None:
        return "not judged by the cheap judge"
    if isinstance(outcome, Unscored) and outcome.why is Why.BACKEND:
        return "where the cheap judge's model failed"
    return "" if scored else "not scored by the strong judge"
