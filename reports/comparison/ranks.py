"""Ranks that respect noise: a run stands below those that are better for certain, and beside all others.

What is ranked are the scores that a row of a run's table stands on.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.intervals import clustered_mean
from gotr1_eval.core.statistics.paired import paired_p
from gotr1_eval.core.statistics.significance import LEVEL, holm, student_p
from gotr1_eval.core.types import Sample
from reports.run_data import RunData
from reports.run_summary import SUMS, TASK_MEAN

Values = Mapping[str, float]
"""Sample id -> score. Ids that differ in the part behind the last slash are pictures of one prompt."""


def ranks(runs: Mapping[str, Values], seed: int = 0) -> dict[str, int]:
    """Run -> one more than the number of runs that are better than it; runs without a score have no rank.

    All pairs of runs are tested, on the samples both have (whole prompts, by `paired_p`) or, where they share fewer
    than two prompts, as independent means; p-values are corrected by Holm's method over the pairs.
    """
    scored = [name for name, values in runs.items() if values]
    pairs = list(itertools.combinations(scored, 2))
    tests = [compare_two(runs[a], runs[b], seed) for a, b in pairs]
    above = dict.fromkeys(scored, 0)
    for (a, b), (difference, _), p in zip(pairs, tests, holm([p for _, p in tests]), strict=True):
        if p < LEVEL:
            above[a if difference > 0 else b] += 1
    return {name: 1 + count for name, count in above.items()}


def compare_two(a: Values, b: Values, seed: int = 0) -> tuple[float, float]:
    """(mean of b minus mean of a, two-sided p) on the samples both have, or on all of either; see `ranks`."""
    differences: dict[str, list[float]] = {}
    for sample in a.keys() & b.keys():
        differences.setdefault(sample.rpartition("/")[0], []).append(b[sample] - a[sample])
    if len(differences) >= 2:
        # In a fixed order: the test's random signs would otherwise fall on other prompts in another process.
        ordered = [differences[prompt] for prompt in sorted(differences)]
        sums, sizes = (np.array([of(one) for one in ordered], dtype=float) for of in (math.fsum, len))
        return float(sums.sum() / sizes.sum()), paired_p(sums, sizes, seed).p
    return _independent(a, b)


def _independent(a: Values, b: Values) -> tuple[float, float]:
    """Student's test of two means with prompts as clusters, and the freedom of the run with fewer prompts."""
    mean_a, error_a, prompts_a = clustered_mean(by_prompt(a))
    mean_b, error_b, prompts_b = clustered_mean(by_prompt(b))
    difference, error = mean_b - mean_a, math.hypot(error_a, error_b)
    freedom = min(prompts_a, prompts_b) - 1
    if freedom < 1 or error == 0:
        return difference, 1.0
    return difference, student_p(difference, error, freedom)


def by_prompt(values: Values) -> list[list[float]]:
    """The scores of each prompt."""
    groups: dict[str, list[float]] = {}
    for sample, value in values.items():
        groups.setdefault(sample.rpartition("/")[0], []).append(value)
    return list(groups.values())


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
