"""How far the unscored could move a coefficient: what it would be, had the judge scored them as well.

Kendall's tau-b and the pairwise accuracy are bounded over everything the judge could have said: each pair with an
unscored item counts for, or against. Pearson's and Spearman's coefficients have no such bound, since one score far
away decides them; theirs are the extremes found when the missing scores stay inside the judge's observed range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reports.agreement.correlations import Floats, Groups, SignProducts, pearson, quadratic, spearman
from reports.agreement.pairwise import accuracies

MOST_CUTS = 60
"""Ways in which the missing scores are split into high and low ones."""


class Bounds(NamedTuple):
    """The least and the greatest value."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Marked:
    """Items with people's marks, and for those that the judge scored its scores; weights as of `correlations`."""

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


def bounds(marked: Marked, epsilon: float) -> dict[str, Bounds]:
    """Bounds by coefficient; empty without missing scores or where nothing is defined.

    Args:
        epsilon: of the pairwise accuracy.
    """
    known = len(marked.scores) > 1 and np.ptp(marked.scores) > 0 and np.ptp(marked.everyone) > 0
    return {**_by_filling(marked), **_by_pairs(marked, epsilon)} if known and len(marked.missing) else {}


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


def _by_pairs(marked: Marked, epsilon: float) -> dict[str, Bounds]:
    """All sums are twice those over pairs."""
    weights, all_weights = marked.weights[None], marked.all_weights
    agreeing = float(quadratic(weights, SignProducts(marked.scores, marked.people))[0])
    untied_scores = float(Groups.of(marked.scores).untied(weights)[0])
    untied_known = float(Groups.of(marked.people).untied(weights)[0])
    untied_all = float(Groups.of(marked.everyone).untied(all_weights)[0])
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
    right = float(accuracies(marked.scores, marked.people, epsilon, weights)[0])
    return {
        "kendall_b": tau,
        "pairwise_accuracy": Bounds(right * known / total, (right * known + total - known) / total),
    }


def _pairs(weights: Floats) -> float:
    return float(weights.sum() ** 2 - (weights**2).sum())
