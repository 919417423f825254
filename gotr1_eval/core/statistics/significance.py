"""Tests of a difference over prompts, and the correction for several of them made together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gotr1_eval.core.statistics.ranks import Floats

LEVEL = 0.05
"""Adjusted p-values below it are called a difference."""
DRAWS = 10_000
"""Sign patterns that are drawn where there are too many to try all."""


def sign_flip_p(sums: Floats, seed: int = 0) -> float:
    """Two-sided p of "the sign of each prompt's difference is a coin's", with the sum as the statistic.

    All sign patterns up to 2^13; beyond that 10,000 drawn ones, counting the observed one too (Phipson, Smyth, 2010).
    """
    moved = sums[sums != 0]
    if len(sums) < 2 or len(moved) == 0:
        return 1.0
    if 2 ** len(moved) <= 2**13:
        bits = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1
        drawn = (1 - 2 * bits) @ moved
        return float((np.abs(drawn) >= abs(moved.sum()) * (1 - 1e-12)).mean())
    beyond = int((np.abs(_drawn_sums(moved, seed)) >= abs(moved.sum()) * (1 - 1e-12)).sum())
    return (beyond + 1) / (DRAWS + 1)


def _drawn_sums(moved: Floats, seed: int) -> Floats:
    """[DRAWS]: the sum with random signs. Signs are drawn as bits, eight a byte, which takes most of the time away."""
    bytes_each = -(-len(moved) // 8)
    drawn = np.random.default_rng(seed).integers(0, 256, size=(DRAWS, bytes_each), dtype=np.uint8)
    minus = np.unpackbits(drawn, axis=1, count=len(moved)).astype(np.float64)
    sums: Floats = moved.sum() - 2.0 * (minus @ moved)
    return sums


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
