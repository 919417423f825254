"""Whether a mean difference over prompts is 0: a sign-flip test that lopsided differences cannot mislead.

Sign flips are exact where two runs could be exchanged. Where the differences have a mean of 0 and a long tail on one
side they are not: a list that happens to miss the tail looks like a difference. So a difference must pass three tests:

- sign flips over prompts;
- the bootstrap-t (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 12), equal-tailed, whose
  reference distribution is as lopsided as the list itself; draws without any spread count against a difference;
- random weights of the prompts and of one more, which lies `BESIDE` standard deviations on the other side, since a list
  does not hold its whole tail. With the greatest loss there can be in its place this is Gaffke's test for bounded
  values ("Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable", 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.statistics.intervals import drawn_counts
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.significance import DRAWS, LEVEL, sign_flip_p

BESIDE = 2.0
"""Of the list's own standard deviations."""
CELLS = 2**25
"""Random weights that are drawn for a test, in 1000 to 10,000 draws."""
AT_ONCE = 2**20
"""Random weights that are in memory at once."""
SPREADLESS = 1e-9
"""Share of the list's sum of squares below which a draw has no spread."""


class LopsidedTest:
    """The second and the third test, of many lists of prompts at once, each under any shift of its mean.

    Args:
        sums: [prompts, lists] of differences; `weights`: [prompts, lists], how much each prompt weighs in the mean.
        draws: of random weights.
    """

    def __init__(self, sums: Floats, weights: Floats, draws: int, seed: int = 0) -> None:
        prompts = len(sums)
        generator = np.random.default_rng(seed)
        self._totals, self._sizes = sums.sum(axis=0), weights.sum(axis=0)
        residuals = sums - self._totals / self._sizes * weights
        self._spread = np.sqrt(np.square(residuals).sum(axis=0))
        found, squares = _combined(
            lambda count: drawn_counts(prompts, generator, count), draws, residuals, np.square(residuals)
        )
        variances = squares - found**2 / prompts
        spreadless = variances <= SPREADLESS * self._spread**2
        ratio = found / np.sqrt(np.where(spreadless, 1.0, variances))
        self._t_above, self._t_below = (np.where(spreadless, far, ratio) for far in (np.inf, -np.inf))
        beside = BESIDE * self._spread / np.sqrt(prompts - 1)
        nothing = np.zeros_like(beside)
        self._mixed, self._mixed_sizes, self._beside = _combined(
            lambda count: generator.standard_exponential((count, prompts + 1)),
            draws,
            np.vstack([sums, nothing]),
            np.vstack([weights, nothing]),
            np.vstack([0.0 * sums, beside]),
        )

    def p(self, shift: float = 0.0) -> Floats:
        """[lists]: two-sided, the greater of the two tests, when each list's mean is moved by `shift`."""
        return np.maximum(self._bootstrap_t(shift), self._one_more(shift))

    def _bootstrap_t(self, shift: float) -> Floats:
        totals = self._totals + shift * self._sizes
        even = self._spread <= SPREADLESS * np.abs(totals)
        observed = np.divide(totals, self._spread, where=~even, out=np.zeros_like(totals))
        found: Floats = np.where(even, 1.0, _two_sided(self._t_above >= observed, self._t_below <= observed))
        return found

    def _one_more(self, shift: float) -> Floats:
        mixed = self._mixed + shift * self._mixed_sizes
        return _two_sided(mixed <= self._beside, mixed >= -self._beside)


def _two_sided(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> Floats:
    """Twice the smaller share of draws, [draws, lists]."""
    found: Floats = np.minimum(2.0 * np.minimum(above.mean(axis=0), below.mean(axis=0)), 1.0)
    return found


def _combined(draw: Callable[[int], Floats], draws: int, *columns: Floats) -> list[Floats]:
    """Each of `columns`, [prompts, lists], under random weights of the prompts: [draws, lists]."""
    at_once = max(AT_ONCE // len(columns[0]), 1)
    blocks = []
    for start in range(0, draws, at_once):
        weights = draw(min(at_once, draws - start))
        blocks.append([weights @ column for column in columns])
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


@dataclass(frozen=True, slots=True)
class PairedP:
    """Two-sided p-values of "the mean difference is 0".

    Attributes:
        signs: of sign flips alone.
        p: of all three tests; `signs` where that finds nothing.
    """

    signs: float
    p: float

    @property
    def lopsided(self) -> bool:
        """Whether sign flips alone would have called a difference that a long tail may explain."""
        return self.signs < LEVEL <= self.p


def paired_p(sums: Floats, weights: Floats, seed: int = 0) -> PairedP:
    """The test of one list of prompts (see the module).

    Args:
        sums: of the differences, by prompt.
        weights: of the prompts in the mean, such as how many pairs each has.
    """
    signs = sign_flip_p(sums, seed)
    if signs >= LEVEL:
        return PairedP(signs, signs)
    draws = min(max(CELLS // len(sums), 1000), DRAWS)
    return PairedP(signs, max(signs, float(LopsidedTest(sums[:, None], weights[:, None], draws, seed).p()[0])))
