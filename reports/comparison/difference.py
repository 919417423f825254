"""B minus A over paired samples: the difference, whether it is one, what could have been found, and what was not lost.

Pictures of one prompt are alike, so the prompt is the unit: intervals draw whole prompts, and the test of a difference
(`gotr1_eval.core.statistics.paired`) flips the signs of whole prompts, draws and weighs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import overall_bootstrap
from gotr1_eval.core.statistics.paired import paired_p
from gotr1_eval.core.statistics.power import (
    NonInferiority,
    detectable_shift,
    fewest_prompts,
    may_be_undone,
    non_inferiority,
)
from gotr1_eval.core.statistics.significance import LEVEL
from gotr1_eval.core.types import Json

PromptPairs = Mapping[str, Sequence[tuple[float, float]]]
"""Prompt -> (A's value, B's value) of each image index scored in both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """B minus A in one category, or over several.

    Attributes:
        mean: of the paired differences; None without a pair.
        low, high: 95 % bootstrap interval over prompts; None below two prompts.
        p: two-sided, of `paired_p` over prompts; 1.0 without two prompts.
        lopsided: sign flips alone would have called a difference, which a long tail that this list misses may explain.
        may_be_undone: rare breaks that this list does not hold could make up for a difference that is called one.
        adjusted_p: after Holm's correction over the categories compared together.
        pairs, prompts: samples scored in both runs, and how many prompts they are of.
        left_out: samples without a score in one of the runs, or in both, by the word for which.
        wins, ties, losses: pairs in which B is above, equal to, below A.
        detectable: the smallest true difference that this test finds in 80 % of the cases, where this category alone
            differs; None where nothing can be found, where that cannot be told, or where nothing differs.
        fewest: prompts below which this test can find nothing.
        not_worse: whether B is not worse by more than a margin, where one was asked for.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float
    lopsided: bool
    may_be_undone: bool
    adjusted_p: float
    pairs: int
    prompts: int
    left_out: Mapping[str, int]
    wins: int
    ties: int
    losses: int
    detectable: float | None
    fewest: int
    not_worse: NonInferiority | None = None

    @property
    def verdict(self) -> str:
        """ "better" or "worse" (B than A) where the adjusted p is below 5 %, else "within noise"."""
        if self.mean is None or self.adjusted_p >= LEVEL:
            return "within noise"
        return "better" if self.mean > 0 else "worse"

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        shown = None if self.not_worse is None else asdict(self.not_worse) | {"shown": self.not_worse.shown}
        return {**asdict(self), "not_worse": shown, "verdict": self.verdict}


def compare_pairs(
    categories: Sequence[PromptPairs],
    left_out: Mapping[str, int],
    *,
    comparisons: int = 1,
    margin: float | None = None,
    worst: float = np.inf,
    seed: int = 0,
) -> Difference:
    """The difference of one category, or the mean of several categories' differences, each counting alike.

    The p-value is not yet corrected for the number of categories.

    Args:
        categories: their pairs, prompt by prompt.
        left_out: how many samples had no pair, by reason.
        comparisons: categories that are compared together.
        margin: asks whether B is not worse by more than it.
        worst: what a pair can lose at most: the width of the judge's range.
    """
    # In an order that does not depend on the order of rows: random signs would fall on other prompts.
    tasks = [
        groups
        for pairs in categories
        if (groups := sorted(sorted(b - a for a, b in of_prompt) for of_prompt in pairs.values() if of_prompt))
    ]
    flat = np.array([value for groups in tasks for group in groups for value in group])
    shares = [1.0 / (len(tasks) * sum(map(len, groups))) for groups in tasks]
    sums, weights = (
        np.array(
            [of(group) * share for groups, share in zip(tasks, shares, strict=True) for group in groups], dtype=float
        )
        for of in (sum, len)
    )
    low, high = overall_bootstrap(tasks, seed)
    tested = paired_p(sums, weights, seed)
    limited = margin is not None and np.isfinite(worst)
    return Difference(
        mean=float(sums.sum()) if tasks else None,
        low=low,
        high=high,
        p=tested.p,
        lopsided=tested.lopsided,
        may_be_undone=tested.p < LEVEL and may_be_undone(sums, weights, worst, seed),
        adjusted_p=tested.p,
        pairs=len(flat),
        prompts=len(sums),
        left_out=dict(left_out),
        wins=int((flat > 0).sum()),
        ties=int((flat == 0).sum()),
        losses=int((flat < 0).sum()),
        detectable=detectable_shift(sums, weights, comparisons, seed),
        fewest=fewest_prompts(comparisons),
        not_worse=non_inferiority(sums, weights, margin, worst, seed) if limited and margin is not None else None,
    )


def pooled(categories: Mapping[str, PromptPairs]) -> dict[str, Sequence[tuple[float, float]]]:
    """All categories as one; prompts of the same name in two of them stay apart."""
    return {f"{name}\n{prompt}": pairs for name, found in categories.items() for prompt, pairs in found.items()}


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The sum of what was left out."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
