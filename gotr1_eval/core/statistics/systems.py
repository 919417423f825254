"""Systems (generators, models) under a judge: means, pairs with intervals, two judges' orders, self-preference.

Scores stand in two arrays, [prompts, systems]: their sums and their numbers (or weights). Pictures of one prompt are
alike, and systems answer the same prompts: draws, sign flips and standard errors take whole prompts across all systems.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.statistics.intervals import Estimate, quantile
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.significance import flipped_sums

FEWEST_OTHERS = 3
"""Systems of others through whose means a line is fitted."""


@dataclass(frozen=True, slots=True)
class SystemScores:
    """One judge's scores: sums and numbers, [prompts, systems] each; a prompt that a system lacks has the number 0."""

    sums: Floats
    numbers: Floats

    def means(self, often: Floats | None = None) -> Floats:
        """[draws, systems] means over all scores, of the data itself [1, systems] by default.

        Args:
            often: [draws, prompts], how often a draw holds a prompt.
        """
        rows = np.ones((1, len(self.sums))) if often is None else often
        return _ratio(rows @ self.sums, rows @ self.numbers)

    @property
    def means_without_each(self) -> Floats:
        """[prompts, systems] means over all scores but those of a prompt."""
        sums, numbers = (part.sum(axis=0) - part for part in (self.sums, self.numbers))
        return _ratio(sums, numbers)

    @property
    def shares(self) -> Floats:
        """[prompts, systems]: what each prompt adds to the system's mean."""
        return np.asarray(self.sums / self.numbers.sum(axis=0))

    @property
    def influences(self) -> Floats:
        """[prompts, systems]: how far each prompt pulls the mean from what it is; they add up to 0."""
        return np.asarray((self.sums - self.means() * self.numbers) / self.numbers.sum(axis=0))

    @property
    def cells(self) -> Floats:
        """[prompts, systems] means, NaN where a system lacks the prompt."""
        return _ratio(self.sums, self.numbers)


def _ratio(sums: Floats, numbers: Floats) -> Floats:
    """NaN where there is no number."""
    found: Floats = np.divide(sums, numbers, out=np.full(sums.shape, np.nan), where=numbers > 0)
    return found


def around(value: float, influences: Floats) -> Estimate:
    """A statistic that is linear in the prompts, with its 95 % Student interval; none below two prompts.

    Args:
        influences: [prompts] that add up to 0; the standard error is that of their sum.
    """
    moved = influences[~np.isnan(influences)]
    if len(moved) < 2:
        return Estimate(value)
    error = math.sqrt(float(np.square(moved).sum()) * len(moved) / (len(moved) - 1))
    reach = quantile(len(moved) - 1, few=True) * error
    return Estimate(value, value - reach, value + reach)


def pair_difference(scores: SystemScores, first: int, second: int) -> Estimate:
    """The first system's mean minus the second's, with its interval over prompts."""
    means, pulls = scores.means()[0], scores.influences
    there = (scores.numbers[:, [first, second]] > 0).any(axis=1)
    return around(float(means[first] - means[second]), (pulls[:, first] - pulls[:, second])[there])


def kendall_of_means(a: Floats, b: Floats) -> Floats:
    """[draws]: Kendall's tau-b of two rows of means, [draws, systems] each; NaN where one side's are all equal."""
    signs_a, signs_b = (np.sign(means[:, :, None] - means[:, None, :]) for means in (a, b))
    untied = np.sqrt(np.square(signs_a).sum(axis=(1, 2)) * np.square(signs_b).sum(axis=(1, 2)))
    found: Floats = np.divide(
        (signs_a * signs_b).sum(axis=(1, 2)), untied, out=np.full(len(a), np.nan), where=untied > 0
    )
    return found


def certainties(scores: SystemScores, seed: int = 0) -> Floats:
    """[systems, systems]: how certain it is that the first is better than the second, in [0, 1].

    One minus the one-sided p of the paired permutation test that exchanges the two systems' scores prompt by prompt, a
    tie with the observed difference counting half: the two directions add up to 1.
    """
    systems = scores.sums.shape[1]
    first, second = np.triu_indices(systems, k=1)
    shares = scores.shares
    differences = shares[:, first] - shares[:, second]
    observed = differences.sum(axis=0)
    drawn = flipped_sums(differences, seed)
    slack = 1e-12 * np.abs(differences).sum(axis=0)
    below = (drawn < observed - slack).mean(axis=0)
    equal = (np.abs(drawn - observed) <= slack).mean(axis=0)
    found = np.full((systems, systems), 0.5)
    found[first, second] = below + equal / 2.0
    found[second, first] = 1.0 - found[first, second]
    return found


def soft_pairwise_accuracy(a: Floats, b: Floats) -> float | None:
    """How alike two judges are in their certainty which of two systems is better, in [0, 1]; None below two systems.

    The mean over pairs of one minus the absolute difference of their `certainties` (Thompson, Mathur, Deutsch and
    Khayrallah, "Improving Statistical Significance in Human Evaluation of Automatic Metrics via Soft Pairwise
    Accuracy", 2024).
    """
    pairs = np.triu_indices(len(a), k=1)
    return float(1.0 - np.abs(a[pairs] - b[pairs]).mean()) if len(pairs[0]) else None


def self_preference(judge: SystemScores, reference: SystemScores, own: NDArray[np.bool_]) -> dict[str, Estimate]:
    """How far the judge favours systems of its own family over what the reference says of them; above 0 it does.

    A difference in differences, own minus others under the judge less the same under the reference, in three forms:

    verdicts: of means, for scores that are 0 and 1 (or shares of such) on both sides; a stretched scale would count.
    ranks: of the share of comparisons on one prompt that a system of its own wins against another, a tie being half.
        No rising change of either scale moves it. A judge with more noise than the reference pulls it towards 1/2.
    fitted: the mean distance of its own systems' means from the line through the others' (judge over reference), in
        units of the judge's scores. A stretched or shifted scale leaves it at 0.

    Intervals are over prompts with these systems: Student's for the first two, which are linear, and the delete-one
    jackknife's for the last.

    Args:
        own: [systems] which of them are the judge's family.
    """
    nobody = "needs systems of its own and of others"
    if not own.any() or own.all():
        return {name: Estimate(None, why=nobody) for name in ("verdicts", "ranks", "fitted")}
    return {
        "verdicts": _by_means(judge, reference, own),
        "ranks": _by_ranks(judge, reference, own),
        "fitted": _by_line(judge, reference, own),
    }


def _by_means(judge: SystemScores, reference: SystemScores, own: NDArray[np.bool_]) -> Estimate:
    sides = [
        SystemScores(*(np.stack([part[:, own].sum(axis=1), part[:, ~own].sum(axis=1)], axis=1) for part in of))
        for of in ((judge.sums, judge.numbers), (reference.sums, reference.numbers))
    ]
    (of_judge,), (of_reference,) = (side.means() for side in sides)
    pulls = [side.influences[:, 0] - side.influences[:, 1] for side in sides]
    there = judge.numbers.sum(axis=1) > 0
    value = of_judge[0] - of_judge[1] - of_reference[0] + of_reference[1]
    return around(float(value), (pulls[0] - pulls[1])[there])


def _by_ranks(judge: SystemScores, reference: SystemScores, own: NDArray[np.bool_]) -> Estimate:
    wins = [_wins(of.cells, own) for of in (judge, reference)]
    differences = wins[0] - wins[1]
    known = differences[~np.isnan(differences)]
    if not len(known):
        return Estimate(None, why="no prompt has systems of both kinds")
    value = float(known.mean())
    return around(value, (known - value) / len(known))


def _wins(cells: Floats, own: NDArray[np.bool_]) -> Floats:
    """[prompts]: share of comparisons that own systems win; NaN where there is none."""
    signs = np.sign(cells[:, own, None] - cells[:, None, ~own]).reshape(len(cells), -1)
    number = (~np.isnan(signs)).sum(axis=1)
    found: Floats = np.divide(np.nansum(signs, axis=1), number, out=np.full(len(cells), np.nan), where=number > 0)
    return np.asarray((found + 1.0) / 2.0)


def _by_line(judge: SystemScores, reference: SystemScores, own: NDArray[np.bool_]) -> Estimate:
    if (~own).sum() < FEWEST_OTHERS:
        return Estimate(None, why=f"needs {FEWEST_OTHERS} systems of others")
    value = float(_distances(judge.means(), reference.means(), own)[0])
    if np.isnan(value):
        return Estimate(None, why="the reference gives all others one mean")
    prompts = len(judge.sums)
    left_out = _distances(judge.means_without_each, reference.means_without_each, own)
    if np.isnan(left_out).any() or prompts < 2:
        return Estimate(value)
    # The jackknife's variance is (P - 1) / P times the squares around the mean; `around` multiplies by P / (P - 1).
    return around(value, (left_out - left_out.mean()) * (prompts - 1) / prompts)


def _distances(judge: Floats, reference: Floats, own: NDArray[np.bool_]) -> Floats:
    """[draws]: mean distance of own systems from the least-squares line through the others."""
    x, y = reference[:, ~own], judge[:, ~own]
    middle_x, middle_y = x.mean(axis=1), y.mean(axis=1)
    x, y = x - middle_x[:, None], y - middle_y[:, None]
    spread = np.square(x).sum(axis=1)
    slope = np.divide((x * y).sum(axis=1), spread, out=np.full(len(x), np.nan), where=spread > 0)
    return np.asarray(judge[:, own].mean(axis=1) - middle_y - slope * (reference[:, own].mean(axis=1) - middle_x))


def places(means: Mapping[str, float]) -> dict[str, int]:
    """Name -> its place from the highest, 1 and up; equal means share the better one."""
    return {name: 1 + sum(other > mean for other in means.values()) for name, mean in means.items()}
