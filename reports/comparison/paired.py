"""Paired statistics of two runs: the same prompts, the same image indices, one judge.

Pictures of one prompt are alike, so the prompt is the unit: intervals draw whole prompts, and the permutation test
flips the signs of whole prompts. The mean difference is over samples, as the runs' own means are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import prompt_bootstrap
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.significance import LEVEL, sign_flip_p

POWER_FACTOR = 2.8016
"""z(0.975) + z(0.8): a difference of so many standard errors is found in 80 % of the cases at the 5 % level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """B minus A in one category.

    Attributes:
        mean: of the paired differences; None without a pair.
        low, high: 95 % bootstrap interval over prompts; None below two prompts.
        p: two-sided, of the sign-flip permutation test over prompts; 1.0 without two prompts.
        adjusted_p: after Holm's correction over the categories compared together.
        pairs, prompts: samples scored in both runs, and how many prompts they are of.
        left_out: samples without a score in one of the runs, or in both, by the word for which.
        wins, ties, losses: pairs in which B is above, equal to, below A.
        detectable: the smallest true difference that such a comparison finds in 80 % of the cases.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float
    adjusted_p: float
    pairs: int
    prompts: int
    left_out: Mapping[str, int]
    wins: int
    ties: int
    losses: int
    detectable: float | None

    @property
    def verdict(self) -> str:
        """ "better" or "worse" (B than A) where the adjusted p is below 5 %, else "within noise"."""
        if self.mean is None or self.adjusted_p >= LEVEL:
            return "within noise"
        return "better" if self.mean > 0 else "worse"


def compare_pairs(
    pairs: Mapping[str, Sequence[tuple[float, float]]], left_out: Mapping[str, int], seed: int = 0
) -> Difference:
    """The difference of one category, not yet corrected for the number of categories.

    Args:
        pairs: prompt -> (A's value, B's value) of each image index scored in both.
        left_out: how many samples had no pair, by reason.
    """
    # In an order that does not depend on the order of rows: random signs would fall on other prompts.
    groups = sorted(sorted(b - a for a, b in of_prompt) for of_prompt in pairs.values() if of_prompt)
    flat = np.array([value for group in groups for value in group])
    sums = np.array([sum(group) for group in groups])
    counts = np.array([len(group) for group in groups], dtype=np.float64)
    low, high = prompt_bootstrap(groups, seed)
    p = sign_flip_p(sums, seed)
    return Difference(
        mean=float(sums.sum() / counts.sum()) if groups else None,
        low=low,
        high=high,
        p=p,
        adjusted_p=p,
        pairs=len(flat),
        prompts=len(groups),
        left_out=dict(left_out),
        wins=int((flat > 0).sum()),
        ties=int((flat == 0).sum()),
        losses=int((flat < 0).sum()),
        detectable=_detectable(sums, counts),
    )


def _detectable(sums: Floats, counts: Floats) -> float | None:
    """`POWER_FACTOR` standard errors of the mean difference (a ratio of sums over prompts)."""
    if len(sums) < 2:
        return None
    residuals = sums - sums.sum() / counts.sum() * counts
    variance = len(sums) / (len(sums) - 1) * float(np.square(residuals).sum()) / float(counts.sum()) ** 2
    return POWER_FACTOR * math.sqrt(variance)
