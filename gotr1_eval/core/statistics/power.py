"""What a paired comparison over prompts can find, and whether a loss stays within a margin.

Prompts are given by their sums of differences and by their weights in the mean (how many pairs each has): the mean
difference is the sum of the sums over the sum of the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import clustered_error
from gotr1_eval.core.statistics.paired import LopsidedTest
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.significance import LEVEL

POWER = 0.8
"""How often a difference that is called detectable is found."""
REPEATS = 300
"""Comparisons that are made up from the one there is."""
DRAWS = 2000
"""Random weights by which each of them is tested."""
SHAPED = 20
"""Prompts, beside those with the most frequent difference (mostly 0), below which a list does not show the shape of its
differences well enough to say what could be found."""
MANY = 2000
"""Prompts from which the sums are normal, and nothing has to be made up."""
LEAST_FREEDOM = 3.0
"""Of a variance, however heavy the tails are."""
FARTHEST = 32.0
"""Differences that are tried, in multiples of what a normal distribution would ask for."""
DIRICHLET_DRAWS = 20_000
CELLS = 2**22
"""Numbers that are in memory at once."""
STEPS = 8


def fewest_prompts(comparisons: int) -> int:
    """Prompts below which no sign-flip test is ever significant after Holm's correction: its least p is 2 / 2^P."""
    return next(prompts for prompts in range(2, 64) if comparisons * 2.0 ** (1 - prompts) < LEVEL)


def detectable_shift(sums: Floats, weights: Floats, comparisons: int = 1, seed: int = 0) -> float | None:
    """The smallest true difference of one category that `paired_p` finds 80 times of a hundred.

    Comparisons of as many prompts are drawn from the observed residuals, shifted, and tested as the real one is: at the
    level that Holm's correction leaves to the only one of `comparisons` categories that differs. The spread of each is
    drawn as well, as far as the observed one leaves it uncertain (its square times f over chi-squared with f degrees of
    freedom, by `_freedom`).

    Returns:
        In units of the mean; None with fewer than `SHAPED` prompts that differ from the others, of which it cannot be
        told, and where nothing is found so often.
    """
    prompts = len(sums)
    if prompts < SHAPED or prompts - np.unique(sums / weights, return_counts=True)[1].max() < SHAPED:
        return None
    spread = clustered_error(sums, weights)
    level = LEVEL / comparisons
    # scipy.special holds the distribution; scipy.stats takes seconds to import.
    from scipy.special import ndtri

    reach = float(ndtri(1 - level / 2) + ndtri(POWER)) * spread
    if prompts >= MANY or spread == 0:
        return reach
    found = _made_up(sums, weights, level, seed)
    low, high = 0.0, 2.0 * reach
    while found(high) < POWER:
        low, high = high, 2.0 * high
        if high > FARTHEST * reach:
            return None
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if found(middle) >= POWER else (middle, high)
    return high


def _made_up(sums: Floats, weights: Floats, level: float, seed: int) -> _Found:
    """Comparisons of as many prompts with a mean of 0."""
    prompts, repeats = len(sums), REPEATS
    generator = np.random.default_rng(seed)
    chosen = generator.integers(0, prompts, (prompts, repeats))
    residuals = (sums - sums.sum() / weights.sum() * weights) * math.sqrt(prompts / (prompts - 1))
    freedom = _freedom(residuals)
    spreads = np.sqrt(freedom / generator.chisquare(freedom, repeats))
    return _Found(residuals[chosen] * spreads, weights[chosen], level, seed)


def _freedom(residuals: Floats) -> float:
    """Degrees of freedom of the residuals' variance: P - 1 of normal ones, fewer by their kurtosis k of others, since
    its relative variance is (k - 1) / P."""
    squares = np.square(residuals)
    kurtosis = float(np.square(squares).mean() / squares.mean() ** 2)
    return float(np.clip(2.0 * len(residuals) / max(kurtosis - 1.0, 1e-9), LEAST_FREEDOM, len(residuals) - 1))


class _Found:
    """The share of made-up comparisons, [prompts, repeats], that are significant when they are shifted."""

    def __init__(self, residuals: Floats, weights: Floats, level: float, seed: int) -> None:
        self._residuals, self._weights, self._level = residuals, weights, level
        self._lopsided = LopsidedTest(residuals, weights, DRAWS, seed)

    def __call__(self, shift: float) -> float:
        values = self._residuals + shift * self._weights
        by_signs = values.sum(axis=0) > self._critical(values)
        return float((by_signs & (self._lopsided.p(shift) < self._level)).mean())

    def _critical(self, values: Floats) -> Floats:
        """[repeats]: the sum that few enough sign patterns reach, from their variance and fourth cumulant."""
        from scipy.special import ndtri

        normal = float(ndtri(1 - self._level / 2))
        squares = np.square(values)
        variance = squares.sum(axis=0)
        excess = np.divide(-2.0 * np.square(squares).sum(axis=0), variance**2, where=variance > 0, out=0 * variance)
        found: Floats = np.sqrt(variance) * (normal + excess * (normal**3 - 3 * normal) / 24.0)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether B is not worse than A by more than a margin, at the one-sided 5 % level.

    Attributes:
        margin: in units of the score, above 0.
        p: that the true loss is the margin or more; "not worse" below 0.05.
        most: the loss that is excluded: a one-sided 95 % bound, negative where B is better for certain.
        showable: the least margin that such a list of prompts shows, 80 times of a hundred, where nothing is lost.
        floor: the least margin that it shows where A and B are the same in every prompt.
    """

    margin: float
    p: float
    most: float
    showable: float
    floor: float

    @property
    def shown(self) -> bool:
        return self.p < LEVEL

    @property
    def possible(self) -> bool:
        """Whether so few prompts could show this margin at all."""
        return self.floor < self.margin


def non_inferiority(sums: Floats, weights: Floats, margin: float, worst: float, seed: int = 0) -> NonInferiority | None:
    """Test that the mean difference is above minus the margin; None without a prompt.

    The bound is Gaffke's for means of bounded values (2005): the prompts, and one more that lost as much as can be
    lost, weighted by Dirichlet(1, ..., 1); of 0 and 1 it is Clopper's and Pearson's exact one. A break that this list
    does not hold is thereby allowed for, which neither Student's test nor sign flips do.

    Args:
        sums: B's minus A's values by prompt.
        worst: what a pair can lose at most, the width of the judge's range.
    """
    if not len(sums):
        return None
    bounds = loss_bounds(sums, weights, worst, seed)
    return NonInferiority(
        margin=margin,
        p=float((bounds >= margin).mean()),
        most=float(np.quantile(bounds, 1 - LEVEL)),
        showable=_showable(sums, weights, worst, seed),
        floor=worst * (1.0 - LEVEL ** (1.0 / len(sums))),
    )


def loss_bounds(sums: Floats, weights: Floats, worst: float, seed: int = 0) -> Floats:
    """[draws] of the mean loss under random weights of the prompts and the one that lost most (`non_inferiority`)."""
    losses, sizes = np.append(-sums, worst * weights.mean()), np.append(weights, weights.mean())
    shares = _dirichlet(len(losses), DIRICHLET_DRAWS, seed)
    return np.asarray((shares @ losses) / (shares @ sizes))


def may_be_undone(sums: Floats, weights: Floats, worst: float, seed: int = 0) -> bool:
    """Whether a mean difference, of either sign, is not shown once rare breaks are allowed for, as `non_inferiority`
    does, at the two-sided 5 % level; always where scores have no bounds."""
    if not np.isfinite(worst):
        return True
    towards = np.sign(sums.sum())
    return bool((loss_bounds(towards * sums, weights, worst, seed) >= 0).mean() >= LEVEL / 2)


def _dirichlet(items: int, draws: int, seed: int) -> Floats:
    """[draws, items]: random weights, up to a factor that a ratio does not see; fewer draws of very many items."""
    number = min(draws, max(CELLS // items, 200))
    return np.random.default_rng(seed).standard_exponential((number, items))


def _showable(sums: Floats, weights: Floats, worst: float, seed: int) -> float:
    """The bound that four of five repeats stay below when the mean loss is 0."""
    prompts = len(sums)
    centred = sums.sum() / weights.sum() * weights - sums
    repeats, shares = min(200, max(CELLS // prompts, 20)), _dirichlet(prompts + 1, 1000, seed)
    chosen = np.random.default_rng(seed).integers(0, prompts, (prompts, repeats))
    losses = np.vstack([centred[chosen], np.full((1, repeats), worst * weights.mean())])
    sizes = np.vstack([weights[chosen], np.full((1, repeats), weights.mean())])
    bounds = np.quantile((shares @ losses) / (shares @ sizes), 1 - LEVEL, axis=0)
    return float(np.quantile(bounds, POWER))
