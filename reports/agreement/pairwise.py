"""Pairwise accuracy with tie calibration: of all pairs of items, how many does the judge order as people do?

A pair that people hold equal is right when the judge's scores differ by at most epsilon, any other pair when they
differ by more and in the right direction. Epsilon is the difference that makes the share largest, so that a judge with
fine scores is not punished for never giving two equal ones (Deutsch, Foster and Freitag, "Ties Matter", 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.agreement.correlations import Floats, quadratic


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The share of pairs ordered as people do, in [0, 1], at the best epsilon (in units of the judge's score)."""

    accuracy: float
    epsilon: float


def calibrated_accuracy(judge: Floats, people: Floats, weights: Floats | None = None) -> Calibrated | None:
    """The best accuracy over all epsilons, the smallest of equally good ones; None without a pair. O(N^2 log N)."""
    first, second = np.triu_indices(len(judge), k=1)
    if not len(first):
        return None
    pairs = np.ones(len(first)) if weights is None else weights[first] * weights[second]
    differences = judge[first] - judge[second]
    order = np.sign(people[first] - people[second])
    apart = np.abs(differences)
    tied = order == 0
    concordant = ~tied & (np.sign(differences) == order)
    # Raising epsilon over a pair's difference turns it into a tie: won where people tie, lost where it was concordant.
    rising = np.argsort(apart)
    steps = apart[rising]
    right = float(pairs[concordant].sum()) + np.cumsum((pairs * (tied * 1.0 - concordant))[rising])
    # All pairs of one difference turn at once; at 0 nothing but the judge's own ties has turned.
    ends = np.append(np.flatnonzero(np.diff(steps)), len(steps) - 1)
    candidates, right = steps[ends], right[ends]
    if candidates[0] > 0:
        candidates, right = np.append(0.0, candidates), np.append(pairs[concordant].sum(), right)
    best = int(np.argmax(right))
    return Calibrated(float(right[best] / pairs.sum()), float(candidates[best]))


def accuracies(judge: Floats, people: Floats, epsilon: float, weights: Floats) -> Floats:
    """The accuracy at a fixed epsilon for each row of weights; an item drawn twice makes no pair with itself."""
    pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    right = quadratic(weights, _Right(judge, people, epsilon))
    found: Floats = np.divide(right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return found


class _Right:
    """1 for pairs ordered as people do, 0 on the diagonal; a block of columns at a time."""

    def __init__(self, judge: Floats, people: Floats, epsilon: float) -> None:
        self.judge, self.people, self.epsilon = judge, people, epsilon

    def __call__(self, columns: slice) -> Floats:
        judge = self.judge[:, None] - self.judge[None, columns]
        people = np.sign(self.people[:, None] - self.people[None, columns])
        verdict = np.where(np.abs(judge) <= self.epsilon, 0.0, np.sign(judge))
        right: NDArray[np.float64] = (verdict == people).astype(float)
        rows = np.arange(len(self.judge))[columns]
        right[rows, np.arange(len(rows))] = 0.0
        return right
