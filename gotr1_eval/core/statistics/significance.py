"""Tests of a difference over prompts, and the correction for several of them made together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gotr1_eval.core.statistics.ranks import Floats

LEVEL = 0.05
"""Adjusted p-values below it are called a difference."""
MOST_PATTERNS = 2**13
"""Sign patterns that are all tried."""
CELLS = 2**22
"""Signs that are in memory as numbers at once."""
DRAWS = 10_000
"""Sign patterns that are drawn where there are more."""


def sign_flip_p(sums: Floats, seed: int = 0) -> float:
    """Two-sided p of "the sign of each prompt's difference is a coin's", with the sum as the statistic.

    All sign patterns up to 2^13; beyond that 10,000 drawn ones, counting the observed one too (Phipson, Smyth, 2010).
    """
    moved = sums[sums != 0]
    if len(sums) < 2 or len(moved) == 0:
        return 1.0
    drawn = flipped_sums(moved[:, None], seed)[:, 0]
    beyond = np.abs(drawn) >= abs(moved.sum()) * (1 - 1e-12)
    return float(beyond.mean()) if 2 ** len(moved) <= MOST_PATTERNS else (int(beyond.sum()) + 1) / (DRAWS + 1)


def flipped_sums(values: Floats, seed: int = 0) -> Floats:
    """[patterns, columns]: the columns' sums under all sign patterns of the rows, or under `DRAWS` drawn ones.

    Args:
        values: [rows, columns]; a pattern flips whole rows.
    """
    rows, total = len(values), values.sum(axis=0)
    if 2**rows <= MOST_PATTERNS:
        minus = ((np.arange(2**rows)[:, None] >> np.arange(rows)) & 1).astype(np.float64)
        return np.asarray(total - 2.0 * (minus @ values))
    # Signs are drawn as bits, eight a byte, which takes most of the time away; some patterns at once are made numbers.
    drawn = np.random.default_rng(seed).integers(0, 256, size=(DRAWS, -(-rows // 8)), dtype=np.uint8)
    at_once = max(CELLS // rows, 1)
    blocks = (
        np.unpackbits(drawn[start : start + at_once], axis=1, count=rows).astype(np.float64) @ values
        for start in range(0, DRAWS, at_once)
    )
    return np.asarray(total - 2.0 * np.concatenate(list(blocks)))


def student_p(difference: float, error: float, freedom: int) -> float:
    """Two-sided p of Student's test of a difference with its standard error, which is above 0."""
    # scipy.special holds the distribution; scipy.stats takes seconds to import.
    from scipy.special import stdtr

    return 2.0 * float(stdtr(freedom, -abs(difference) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of the p-values of comparisons made together."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min((len(p_values) - rank) * p_values[place], 1.0))
        adjusted[place] = highest
    return adjusted
