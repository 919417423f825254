"""Ranks and pairs: middle ranks with ties, ROC area, and how many pairs two columns put in the same order.

Weights are rows, one a draw, as in `correlations`.

Pairwise accuracy with tie calibration: a pair that people hold equal is right when the judge's scores differ by at most
epsilon, any other pair when they differ by more and in the right direction. Epsilon is the difference that makes the
share largest, so that a judge with fine scores is not punished for never giving two equal ones (Deutsch, Foster and
Freitag, "Ties Matter", 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 512
"""Columns of a pairwise matrix that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Ties:
    """The distinct values of a column: order and starts of the runs of equal values, and each item's run."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    group: NDArray[np.intp]

    @classmethod
    def of(cls, values: Floats) -> Ties:
        distinct, group = np.unique(values, return_inverse=True)
        order = np.argsort(group, kind="stable")
        starts = np.searchsorted(group[order], np.arange(len(distinct)))
        return cls(order, starts, group)

    def group_weights(self, weights: Floats) -> Floats:
        return np.add.reduceat(weights[:, self.order], self.starts, axis=1)

    def ranks(self, weights: Floats) -> Floats:
        """Middle ranks; a constant less than the usual ones, which no correlation sees."""
        grouped = self.group_weights(weights)
        return (np.cumsum(grouped, axis=1) - grouped / 2.0)[:, self.group]

    def untied(self, weights: Floats) -> Floats:
        """Twice the number of pairs with two values."""
        grouped = self.group_weights(weights)
        twice: Floats = grouped.sum(axis=1) ** 2 - (grouped**2).sum(axis=1)
        return twice

    def distinct(self, weights: Floats) -> Floats:
        """How many distinct values have any weight."""
        return np.asarray((self.group_weights(weights) > 0).sum(axis=1), dtype=float)


def shares_below(values: Floats) -> Floats:
    """Each value's middle rank as a share of the values that are there, in (0, 1); NaN stays NaN."""
    shares = np.full(len(values), np.nan)
    there = ~np.isnan(values)
    if there.any():
        shares[there] = Ties.of(values[there]).ranks(np.ones((1, int(there.sum()))))[0] / there.sum()
    return shares


def roc_area(positive: Sequence[float] | Floats, negative: Sequence[float] | Floats) -> float | None:
    """Chance that a positive scores above a negative, a tie counting half; None when one kind is missing."""
    if len(positive) == 0 or len(negative) == 0:
        return None
    values = np.concatenate([positive, negative])
    # Half above the middle rank from 0 is the middle rank from 1.
    ranks = Ties.of(values).ranks(np.ones((1, len(values))))[0] + 0.5
    above = float(ranks[: len(positive)].sum()) - len(positive) * (len(positive) + 1) / 2
    return above / (len(positive) * len(negative))


def sign_sums(x: Floats, y: Floats, weights: Floats) -> Floats:
    """[draws]: twice the sum over pairs of w_i w_j, plus where both columns order a pair alike, minus where contrarily.

    A pair that ties in a column counts nothing. Two distinct values of a column differ first in one binary digit of
    their number: digit by digit, items with a 0 stand against those with a 1 that agree in all higher digits, and
    what lies below an item is a running sum along the other column. O(N log N) a row of weights.
    """
    if not len(x):
        return np.zeros(len(weights))
    columns = [Ties.of(column).group for column in (x, y)]
    fewer, other = sorted(columns, key=lambda group: int(group.max()))
    total = np.zeros(len(weights))
    for digit in range(int(fewer.max()).bit_length()):
        total += _across(fewer >> digit, other, weights)
    return 2.0 * total


def _across(numbers: NDArray[np.intp], other: NDArray[np.intp], weights: Floats) -> Floats:
    """The same sum over pairs of an even number and the odd one that follows it."""
    order = np.lexsort((other, numbers >> 1))
    blocks, other, odd = numbers[order] >> 1, other[order], (numbers[order] & 1).astype(bool)
    new_block = np.append(True, np.diff(blocks) != 0)
    starts = np.flatnonzero(new_block | np.append(True, np.diff(other) != 0))
    block_of_run = np.cumsum(new_block)[starts] - 1
    firsts = np.flatnonzero(np.append(True, np.diff(block_of_run) != 0))
    lasts = np.append(firsts[1:], len(starts)) - 1
    ordered = weights[:, order]
    even = np.add.reduceat(np.where(odd, 0.0, ordered), starts, axis=1)
    through = np.cumsum(even, axis=1)
    before = through - even
    below_less_above = before + through - (before[:, firsts] + through[:, lasts])[:, block_of_run]
    sums: Floats = (np.add.reduceat(np.where(odd, ordered, 0.0), starts, axis=1) * below_less_above).sum(axis=1)
    return sums


def quadratic(weights: Floats, block_of: Callable[[slice], Floats]) -> Floats:
    """Sum over i, j of w_i w_j M_ij for every row of weights, with the N x N matrix made in blocks of columns."""
    total = np.zeros(len(weights))
    for start in range(0, weights.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        total += ((weights @ block_of(columns)) * weights[:, columns]).sum(axis=1)
    return total


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
