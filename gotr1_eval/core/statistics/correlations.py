"""Pearson, Spearman, Kendall tau-b and tau-c between two columns, for many weightings of the items at once.

A weight is how often an item stands in the data: with whole numbers the result is that of the repeated data, so that a
bootstrap is one call with a row of weights a draw; with inverse inclusion probabilities it estimates the population's.
NaN stands for undefined (a column without variance); `why_undefined` says it in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.statistics.ranks import Floats, Ties, accuracies, sign_sums

NAMES = ("pearson", "spearman", "kendall_b", "kendall_c")
_BLOCK_CELLS = 2**20
"""Weights that are worked on at once."""
MOST_CUTS = 60
"""Ways in which the missing scores are split into high and low ones."""


def correlations(x: Floats, y: Floats, weights: Floats) -> dict[str, Floats]:
    """Coefficient name -> [draws], each in [-1, 1] or NaN where undefined. The work grows with sorting the items."""
    if not len(x):
        return {name: np.full(len(weights), np.nan) for name in NAMES}
    ties_x, ties_y = Ties.of(x), Ties.of(y)
    standard_x, standard_y = _standardised(x)[None], _standardised(y)[None]

    def of(rows: Floats) -> Floats:
        signs, total = sign_sums(x, y, rows), rows.sum(axis=1)
        fewest = np.minimum(ties_x.distinct(rows), ties_y.distinct(rows))
        found = (
            _pearson(standard_x, standard_y, rows),
            _pearson(ties_x.ranks(rows), ties_y.ranks(rows), rows),
            signs / np.sqrt(ties_x.untied(rows) * ties_y.untied(rows)),
            signs / (total**2 * (1.0 - 1.0 / fewest)),
        )
        return np.where(fewest > 1, np.clip(found, -1.0, 1.0), np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        return dict(zip(NAMES, in_blocks(of, weights), strict=True))


def in_blocks(rule: Callable[[Floats], Floats], weights: Floats) -> Floats:
    """[numbers, draws] of a rule that gives them for some rows of weights, of which long ones take memory."""
    rows = max(_BLOCK_CELLS // max(weights.shape[1], 1), 1)
    blocks = [rule(weights[start : start + rows]) for start in range(0, len(weights), rows)]
    return np.concatenate(blocks, axis=-1)


def pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """[draws]: Pearson's coefficient alone; NaN where a draw leaves a column without variance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.clip(_pearson(_standardised(x)[None], _standardised(y)[None], weights), -1.0, 1.0)
    return found


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """[draws]: Spearman's coefficient alone; NaN where a draw leaves a column without variance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks_x, ranks_y = (Ties.of(column).ranks(weights) for column in (x, y))
        found: Floats = np.clip(_pearson(ranks_x, ranks_y, weights), -1.0, 1.0)
    return found


def rank_correlation(x: Floats, y: Floats) -> float | None:
    """Spearman's coefficient of two columns as they are; None below three items or where a column never varies."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(spearman(x, y, np.ones((1, len(x))))[0])


def kendall(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Kendall's tau-b of two columns as they are; None where a column has fewer than two different values.

    scipy's; `correlations` weighs items.
    """
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    # scipy.stats takes seconds to import.
    from scipy.stats import kendalltau

    return float(kendalltau(x, y).statistic)


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


class Bounds(NamedTuple):
    """The least and the greatest value."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Marked:
    """Items with people's marks, and for those that the judge scored its scores; weights as above."""

    scores: Floats
    people: Floats
    weights: Floats
    missing: Floats
    missing_weights: Floats

    @property
    def everyone(self) -> Floats:
        """People's marks of all items, the unscored last."""
        return np.append(self.people, self.missing)

    @property
    def all_weights(self) -> Floats:
        """In the order of `everyone`, as one row."""
        return np.append(self.weights, self.missing_weights)[None]


def bounds(marked: Marked, epsilon: float, some: NDArray[np.intp] | None = None) -> dict[str, Bounds]:
    """How far the unscored could move each coefficient: what it would be, had the judge scored them as well.

    Kendall's tau-b and the pairwise accuracy are bounded over everything the judge could have said: each pair with an
    unscored item counts for, or against. Pearson's and Spearman's coefficients have no such bound, since one score far
    away decides them; theirs are the extremes found when the missing scores stay inside the judge's observed range.
    Empty without missing scores or where nothing is defined.

    Args:
        epsilon: of the pairwise accuracy.
        some: places of the scored items whose pairs the accuracy compares; None for all.
    """
    some = np.arange(len(marked.scores)) if some is None else some
    known = len(marked.scores) > 1 and np.ptp(marked.scores) > 0 and np.ptp(marked.everyone) > 0
    return {**_by_filling(marked), **_bounds_by_pairs(marked, epsilon, some)} if known and len(marked.missing) else {}


def _by_filling(marked: Marked) -> dict[str, Bounds]:
    missing, everyone = marked.missing, marked.everyone
    low, high = float(marked.scores.min()), float(marked.scores.max())
    fillings = [np.where(missing >= cut, *ends) for cut in _cuts(missing) for ends in ((high, low), (low, high))]
    line = (missing - everyone.min()) / np.ptp(everyone)
    fillings += [low + (high - low) * share for share in (line, 1.0 - line)]
    extremes = {}
    for name, coefficient in (("pearson", pearson), ("spearman", spearman)):
        filled = (np.append(marked.scores, one) for one in fillings)
        values = [float(coefficient(scores, everyone, marked.all_weights)[0]) for scores in filled]
        extremes[name] = Bounds(float(np.nanmin(values)), float(np.nanmax(values)))
    return extremes


def _cuts(missing: Floats) -> Floats:
    """Places at which the missing are split, one above all of them included."""
    places = np.append(np.unique(missing), np.inf)
    return places if len(places) <= MOST_CUTS else places[np.linspace(0, len(places) - 1, MOST_CUTS).astype(int)]


def _bounds_by_pairs(marked: Marked, epsilon: float, some: NDArray[np.intp]) -> dict[str, Bounds]:
    """All sums are twice those over pairs."""
    weights, all_weights = marked.weights[None], marked.all_weights
    agreeing = float(sign_sums(marked.scores, marked.people, weights)[0])
    untied_scores = float(Ties.of(marked.scores).untied(weights)[0])
    untied_known = float(Ties.of(marked.people).untied(weights)[0])
    untied_all = float(Ties.of(marked.everyone).untied(all_weights)[0])
    known, total = _pairs(weights), _pairs(all_weights)
    decisive = untied_all - untied_known
    others = total - known - decisive

    def extreme(sum_of_signs: float, sign: int) -> float:
        # With t more untied pairs all concordant, tau-b is (S + t) / sqrt((X + t) Y), which only grows with t. Pairs
        # that people tie and the judge does not add to X alone: they pull what stays on the other side towards 0.
        pulled = others if sum_of_signs * sign < 0 else 0.0
        scale = float(np.sqrt((untied_scores + decisive + pulled) * untied_all))
        return min(max(sum_of_signs / scale, -1.0), 1.0)

    tau = Bounds(extreme(agreeing - decisive, -1), extreme(agreeing + decisive, 1))
    right = float(accuracies(marked.scores[some], marked.people[some], epsilon, weights[:, some])[0])
    known, total = _pairs(weights[:, some]), _pairs(np.append(weights[0, some], marked.missing_weights)[None])
    return {
        "kendall_b": tau,
        "pairwise_accuracy": Bounds(right * known / total, (right * known + total - known) / total),
    }


def _pairs(weights: Floats) -> float:
    return float(weights.sum() ** 2 - (weights**2).sum())
