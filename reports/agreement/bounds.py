"""How far the unscored could move a coefficient: what it would be, had the judge scored them as well.

Kendall's tau-b and the pairwise accuracy are bounded over everything the judge could have said: each pair with an
unscored item counts for, or against. Pearson's and Spearman's coefficients have no such bound, since one score far
away decides them; theirs are the extremes found when the missing scores stay inside the judge's observed range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reports.agreement.correlations import Floats, correlations
from reports.agreement.pairwise import accuracies

MOST_CUTS = 60
"""Ways in which the missing scores are split into high and low ones."""


class Bounds(NamedTuple):
    """The least and the greatest value."""

    low: float
    high: float


def bounds(scores: Floats, people: Floats, missing: Floats, epsilon: float) -> dict[str, Bounds]:
    """Bounds by coefficient; empty without missing scores or where nothing is defined.

    Args:
        scores, people: of the items that both marked.
        missing: people's marks of the items that the judge left unscored.
        epsilon: of the pairwise accuracy.
    """
    if not len(missing) or len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(np.append(people, missing)) == 0:
        return {}
    return {**_by_filling(scores, people, missing), **_by_pairs(scores, people, missing, epsilon)}


def _by_filling(scores: Floats, people: Floats, missing: Floats) -> dict[str, Bounds]:
    low, high = float(scores.min()), float(scores.max())
    everyone = np.append(people, missing)
    ones = np.ones((1, len(everyone)))
    fillings = [np.where(missing >= cut, *ends) for cut in _cuts(missing) for ends in ((high, low), (low, high))]
    line = (missing - everyone.min()) / np.ptp(everyone)
    fillings += [low + (high - low) * share for share in (line, 1.0 - line)]
    found = [correlations(np.append(scores, filling), everyone, ones) for filling in fillings]
    extremes = {}
    for name in ("pearson", "spearman"):
        values = [float(one[name][0]) for one in found]
        extremes[name] = Bounds(float(np.nanmin(values)), float(np.nanmax(values)))
    return extremes


def _cuts(missing: Floats) -> Floats:
    """Places at which the missing are split, one above all of them included."""
    places = np.append(np.unique(missing), np.inf)
    return places if len(places) <= MOST_CUTS else places[np.linspace(0, len(places) - 1, MOST_CUTS).astype(int)]


def _by_pairs(scores: Floats, people: Floats, missing: Floats, epsilon: float) -> dict[str, Bounds]:
    everyone = np.append(people, missing)
    ones = np.ones((1, len(scores)))
    right = float(accuracies(scores, people, epsilon, ones)[0])
    known, total = _pairs(len(scores)), _pairs(len(everyone))
    new = total - known
    signs = np.sign(scores[:, None] - scores[None, :])
    agreeing = float((signs * np.sign(people[:, None] - people[None, :])).sum()) / 2.0
    untied_scores = float(np.abs(signs).sum()) / 2.0
    untied_all, untied_known = _untied(everyone), _untied(people)
    # With t more untied pairs all concordant, tau-b is (S + t) / sqrt((X + t) Y), which only grows with t.
    decisive = untied_all - untied_known
    scale = np.sqrt((untied_scores + decisive) * untied_all)
    tau = Bounds(max((agreeing - decisive) / scale, -1.0), min((agreeing + decisive) / scale, 1.0))
    accuracy = Bounds(right * known / total, (right * known + new) / total)
    return {"kendall_b": tau, "pairwise_accuracy": accuracy}


def _pairs(count: int) -> float:
    return count * (count - 1) / 2.0


def _untied(values: Floats) -> float:
    """Pairs with two values."""
    _, counts = np.unique(values, return_counts=True)
    return _pairs(len(values)) - float(sum(_pairs(int(count)) for count in counts))
