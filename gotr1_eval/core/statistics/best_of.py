"""Best of n: what is had when a judge picks the best of n pictures of a prompt, from pictures that are there already.

Of N pictures of a prompt every choice of n is as likely as any other, so that the expected value of the picked one is a
weighted mean over the pictures by their place: no choice has to be drawn. Picking the best of n moves the distribution
of pictures by at most log n - (n - 1) / n nats, so that the curve over n hints at what training against the judge would
find (Gao, Schulman and Hilton, "Scaling Laws for Reward Model Overoptimization", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.statistics.ranks import Floats, Ties
from gotr1_eval.core.statistics.systems import around


def expected_best(picker: Floats, value: Floats) -> Floats:
    """[N]: the expected value of the picture that the picker likes best of n = 1 ... N of a prompt's N pictures.

    Among pictures that it likes equally it picks any with the same chance.
    """
    number = len(picker)
    ties = Ties.of(picker)
    sizes = np.bincount(ties.group)
    means = np.bincount(ties.group, value) / sizes
    below = np.cumsum(sizes)
    # The best of n lies in the first g groups in C(below_g, n) of the C(N, n) choices.
    chances = np.array([[math.comb(int(count), n) / math.comb(number, n) for count in below] for n in _sizes(number)])
    return np.asarray(np.diff(chances, axis=1, prepend=0.0) @ means)


def _sizes(number: int) -> range:
    return range(1, number + 1)


def distance(n: int) -> float:
    """The greatest Kullback-Leibler distance, in nats, that picking the best of n moves a distribution by."""
    return math.log(n) - (n - 1) / n


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The means over prompts at n = 1, 2, ...

    Attributes:
        values: with intervals over prompts.
        gains: each value minus that at n = 1, with its interval.
        peak: the n at which the mean is greatest, the least of equal ones.
        fall: the last value minus that at the peak, with its interval; 0 where the peak is the last.
    """

    values: Sequence[Estimate]
    gains: Sequence[Estimate]
    peak: int
    fall: Estimate

    @property
    def turns(self) -> bool:
        """Whether the curve falls for certain behind its peak."""
        return self.fall.high is not None and self.fall.high < 0


def curve(prompts: Sequence[tuple[Floats, Floats]], most: int) -> Curve:
    """The curve of a value under a picker.

    Args:
        prompts: (picker's scores, values) of at least `most` pictures each.
        most: the greatest n.

    Raises:
        ValueError: there is no prompt.
    """
    if not prompts:
        raise ValueError("a curve needs a prompt")
    table = np.stack([expected_best(picker, value)[:most] for picker, value in prompts])
    peak = int(np.argmax(table.mean(axis=0)))
    return Curve(
        values=[_mean(column) for column in table.T],
        gains=[_mean(column - table[:, 0]) for column in table.T],
        peak=peak + 1,
        fall=_mean(table[:, -1] - table[:, peak]),
    )


def _mean(column: Floats) -> Estimate:
    value = float(column.mean())
    return around(value, (column - value) / len(column))
