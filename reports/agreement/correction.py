"""A benchmark's mean corrected by a small sample of people's marks (prediction-powered inference).

    corrected = slope * (mean of the judge over all samples) + mean over the rated ones of (mark - slope * score)

The target is the mean mark that people would have given to all samples which the judge scored. With slope 1 this is
the difference estimator of Angelopoulos et al., "Prediction-Powered Inference" (2023); the slope that makes the
interval narrowest is taken from the rated sample ("PPI++", 2023), so that a useless judge costs nothing. Rated items
count by the inverse of their inclusion probability; the variance is that of a ratio in a stratified design with prompts
as clusters, with the finite population's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.statistics.ranks import Floats
from reports.agreement.calibration import Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A corrected mean.

    Attributes:
        value, low, high: with its 95 % interval.
        people, people_low, people_high: what the rated sample alone says.
        judge: the judge's own mean over all samples, calibrated where it is.
        slope: how far the judge's scores were trusted.
        population, rated, prompts: how many samples the judge scored, and how many of them were rated, of how many
            prompts.
        left_out: rated items that the calibration was fitted on.
    """

    value: float
    low: float
    high: float
    people: float
    people_low: float
    people_high: float
    judge: float
    slope: float
    population: int
    rated: int
    prompts: int
    left_out: int

    @property
    def worth(self) -> float | None:
        """How many ratings one rating is worth thanks to the judge; None where people's interval has no width."""
        width = self.high - self.low
        return ((self.people_high - self.people_low) / width) ** 2 if width > 0 else None


def correct(population: Floats, rated: Pairs, left_out: int = 0) -> Corrected:
    """The corrected mean.

    Args:
        population: the judge's score of every sample, the rated ones included; calibrated where it is.
        rated: scores (calibrated likewise), marks and design of the rated ones.
        left_out: for the record.

    Raises:
        UsageError: fewer than three prompts are rated.
    """
    prompts = len(set(rated.prompts))
    if prompts < 3:
        raise UsageError(
            f"calibrate correct: expected ratings of at least 3 prompts, got {prompts}"
            + (f" ({left_out} rated items belong to the calibration; fit it with --share 0.5)" if left_out else "")
        )
    slope = _slope(rated)
    offset = slope * float(population.mean())
    value, half = _mean(rated, rated.marks - slope * rated.scores, len(population), spent=1)
    people, people_half = _mean(rated, rated.marks, len(population), spent=0)
    return Corrected(
        value=offset + value,
        low=offset + value - half,
        high=offset + value + half,
        people=people,
        people_low=people - people_half,
        people_high=people + people_half,
        judge=float(population.mean()),
        slope=slope,
        population=len(population),
        rated=len(rated.items),
        prompts=prompts,
        left_out=left_out,
    )


def _slope(rated: Pairs) -> float:
    """The weighted least-squares slope of marks over scores; 0 for a judge that gave all the same score."""
    shares = rated.weights / rated.weights.sum()
    scores = rated.scores - shares @ rated.scores
    variance = float(shares @ scores**2)
    return float(shares @ (scores * rated.marks)) / variance if variance > 0 else 0.0


def _mean(rated: Pairs, values: Floats, population: int, *, spent: int) -> tuple[float, float]:
    """The weighted mean, and half the width of its interval.

    Args:
        spent: parameters that were fitted before.
    """
    # scipy.special holds the quantiles; scipy.stats takes seconds to import.
    from scipy.special import stdtrit

    shares = rated.weights / rated.weights.sum()
    mean = float(shares @ values)
    clusters, strata = _clusters(rated)
    sums = np.bincount(clusters, weights=shares * (values - mean))
    unseen = max(1.0 - len(values) / population, 0.0)
    variance = 0.0
    for stratum in np.unique(strata):
        inside = sums[strata == stratum]
        variance += len(inside) / (len(inside) - 1) * float(((inside - inside.mean()) ** 2).sum())
    freedom = max(len(sums) - len(np.unique(strata)) - spent, 1)
    return mean, float(stdtrit(freedom, 0.975)) * float(np.sqrt(unseen * variance))


def _clusters(rated: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """(each item's cluster, each cluster's stratum); a cluster belongs where its first item does.

    Strata with a single cluster say nothing about their spread and are taken together, with the next one if need be.
    """
    names = list(dict.fromkeys(rated.prompts))
    places = {name: place for place, name in enumerate(names)}
    clusters = np.array([places[prompt] for prompt in rated.prompts])
    first: dict[str, str] = {}
    for prompt, stratum in zip(rated.prompts, rated.strata, strict=True):
        first.setdefault(prompt, stratum)
    return clusters, _collapsed([first[name] for name in names])


def _collapsed(strata: Sequence[str]) -> np.ndarray:
    """The number of each cluster's stratum, none with a single cluster."""
    names, places, counts = np.unique(list(strata), return_inverse=True, return_counts=True)
    lonely = counts == 1
    numbers = np.where(lonely, len(names), np.arange(len(names)))
    if lonely.sum() == 1 and len(names) > 1:
        numbers[lonely] = int(np.flatnonzero(~lonely)[0])
    return np.asarray(numbers[places])
