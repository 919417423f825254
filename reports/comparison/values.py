"""The scores that a row of a run's table stands on."""

from __future__ import annotations

from collections import Counter

from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from reports.run_data import RunData
from reports.tables import SUMS, TASK_MEAN


def scores_of(run: RunData, judge: str, category: str) -> dict[str, float]:
    """Sample id -> score, of a category or a row of `SUMS`.

    For a mean of tasks every score is weighted, so that their plain mean is that mean.
    """
    outcomes = run.outcomes[judge]
    found = {
        sample.id: outcome.value
        for sample in run.samples.values()
        if isinstance(outcome := outcomes.get(sample.id), Score) and belongs(run, sample, category)
    }
    if category != TASK_MEAN:
        return found
    sizes = Counter(run.category(run.samples[identity]) for identity in found)
    share = len(found) / len(sizes) if sizes else 0.0
    return {identity: value * share / sizes[run.category(run.samples[identity])] for identity, value in found.items()}


def belongs(run: RunData, sample: Sample, category: str) -> bool:
    """Whether the sample is one of the row's."""
    return category in SUMS or run.category(sample) == category
