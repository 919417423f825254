"""Pearson, Spearman, Kendall tau-b and tau-c between two columns, for many weightings of the items at once.

A weight is how often an item stands in the data: with whole numbers the result is that of the repeated data, so that a
bootstrap is one call with a row of weights a draw; with inverse inclusion probabilities it estimates the population's.
NaN stands for undefined (a column without variance); `why_undefined` says it in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NAMES = ("pearson", "spearman", "kendall_b", "kendall_c")
_BLOCK = 512
"""Columns of a pairwise matrix that are in memory at once."""
_BLOCK_CELLS = 2**22
"""Weights that a linear coefficient works on at once."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The distinct values of a column: order and starts of the runs of equal values, and each item's run."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    group: NDArray[np.intp]

    @classmethod
    def of(cls, values: Floats) -> Groups:
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


def correlations(x: Floats, y: Floats, weights: Floats) -> dict[str, Floats]:
    """Coefficient name -> [draws], each in [-1, 1] or NaN where undefined."""
    return {**linear(x, y, weights), **by_pairs(x, y, weights)}


def linear(x: Floats, y: Floats, weights: Floats) -> dict[str, Floats]:
    """Pearson and Spearman, whose work grows with the number of items (and its sorting)."""
    if not len(x):
        return {name: np.full(len(weights), np.nan) for name in NAMES[:2]}
    groups_x, groups_y = Groups.of(x), Groups.of(y)
    found = {
        "pearson": lambda rows: _pearson(_standardised(x)[None], _standardised(y)[None], rows),
        "spearman": lambda rows: _pearson(groups_x.ranks(rows), groups_y.ranks(rows), rows),
    }
    return {name: _defined(_in_blocks(rule, weights), groups_x, groups_y, weights) for name, rule in found.items()}


def by_pairs(x: Floats, y: Floats, weights: Floats) -> dict[str, Floats]:
    """Kendall's tau-b and tau-c, whose work grows with the square of the number of items."""
    if not len(x):
        return {name: np.full(len(weights), np.nan) for name in NAMES[2:]}
    groups_x, groups_y = Groups.of(x), Groups.of(y)
    fewest = np.minimum(groups_x.distinct(weights), groups_y.distinct(weights))
    signs = quadratic(weights, SignProducts(x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "kendall_b": signs / np.sqrt(groups_x.untied(weights) * groups_y.untied(weights)),
            "kendall_c": signs / (weights.sum(axis=1) ** 2 * (1.0 - 1.0 / fewest)),
        }
    return {name: _defined(values, groups_x, groups_y, weights) for name, values in found.items()}


def _defined(values: Floats, x: Groups, y: Groups, weights: Floats) -> Floats:
    """The values where both columns vary under a row of weights, NaN elsewhere."""
    fewest = np.minimum(x.distinct(weights), y.distinct(weights))
    return np.where(fewest > 1, np.clip(values, -1.0, 1.0), np.nan)


def _in_blocks(rule: Callable[[Floats], Floats], weights: Floats) -> Floats:
    """A rule under every row of weights, a few rows at a time: of many items the rows are long."""
    rows = max(_BLOCK_CELLS // max(weights.shape[1], 1), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate([rule(weights[start : start + rows]) for start in range(0, len(weights), rows)])


def pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """[draws]: Pearson's coefficient alone; NaN where a draw leaves a column without variance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.clip(_pearson(_standardised(x)[None], _standardised(y)[None], weights), -1.0, 1.0)
    return found


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """[draws]: Spearman's coefficient alone; NaN where a draw leaves a column without variance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks_x, ranks_y = (Groups.of(column).ranks(weights) for column in (x, y))
        found: Floats = np.clip(_pearson(ranks_x, ranks_y, weights), -1.0, 1.0)
    return found


def why_undefined(x: Floats, y: Floats) -> str:
    """Why no coefficient is defined; empty where all are."""
    if len(x) < 2:
        return "fewer than two items" if len(x) else "no item has both"
    if np.ptp(x) == 0:
        return "the judge gave every item the same score"
    return "people gave every item the same mark" if np.ptp(y) == 0 else ""


def p_values(x: Floats, y: Floats) -> dict[str, float | None]:
    """Two-sided p-values of no association, as scipy computes them; they know nothing of clusters or weights."""
    from scipy import stats

    if len(x) < 3 or why_undefined(x, y):
        return dict.fromkeys(NAMES[:3])
    tests = (stats.pearsonr(x, y), stats.spearmanr(x, y), stats.kendalltau(x, y))
    return {name: float(test.pvalue) for name, test in zip(NAMES, tests, strict=False)}


Average = Literal["fisher", "tanh_of_mean"]
"""How correlations are averaged: tanh of the mean of their atanh; or of their plain mean, as VIEScore's tables are."""


def average(coefficients: Floats, how: Average = "fisher") -> Floats:
    """The average along the first axis. A correlation of 1 or -1 has no finite transform and stays alone."""
    if how == "tanh_of_mean":
        return np.asarray(np.tanh(coefficients.mean(axis=0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.tanh(np.arctanh(coefficients).mean(axis=0)))


class SignProducts:
    """+1 for pairs in the same order in both columns, -1 for opposite ones, 0 for ties; made block by block."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.x, self.y = x, y

    def __call__(self, columns: slice) -> Floats:
        x = np.sign(self.x[:, None] - self.x[None, columns])
        return x * np.sign(self.y[:, None] - self.y[None, columns])


def quadratic(weights: Floats, block_of: Callable[[slice], Floats]) -> Floats:
    """Sum over i, j of w_i w_j M_ij for every row of weights, with the N x N matrix made in blocks of columns."""
    total = np.zeros(len(weights))
    for start in range(0, weights.shape[1], _BLOCK):
        columns = slice(start, start + _BLOCK)
        total += ((weights @ block_of(columns)) * weights[:, columns]).sum(axis=1)
    return total


def _standardised(values: Floats) -> Floats:
    """Centred and scaled: the coefficient is the same, and no digits are lost to a large offset."""
    centred = values - values.mean()
    spread = float(np.abs(centred).max())
    return np.asarray(centred / spread) if spread > 0 else centred


def _pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    shares = weights / weights.sum(axis=1, keepdims=True)
    x = x - (shares * x).sum(axis=1, keepdims=True)
    y = y - (shares * y).sum(axis=1, keepdims=True)
    spread = (shares * x**2).sum(axis=1) * (shares * y**2).sum(axis=1)
    found: Floats = (shares * x * y).sum(axis=1) / np.sqrt(spread)
    return found
