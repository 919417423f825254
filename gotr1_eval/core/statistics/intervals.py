"""95 % intervals of a mean over pictures, where pictures of one prompt are alike.

Prompts are taken in the order of their values before any are drawn, so that an interval depends on what was scored and
not on the order of the rows: shards that were merged, shuffled results and other engines give the same one.

Two questions, two intervals. Over prompts: how far might the mean be off for other prompts of this kind? Over seeds:
how far might it be off for other pictures of these very prompts? The second is mostly the narrower one, and the one
that tells two runs of one model apart.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Json

DRAWS = 2000
"""Bootstrap draws of an interval."""
FEW = 50
"""Prompts under which the analytic form takes Student's t instead of the normal distribution."""

Interval = tuple[float | None, float | None]
MANY = 100_000
"""Prompts from which the bootstrap gives way to the analytic form: the two agree, and draws would take minutes."""
LEAST_DEFINED = 0.9
"""Share of draws in which a number must be defined for an interval to be given."""
CELLS = 1_000_000
"""Draws times prompts that are held at once, in some 32 MB."""

Groups = Collection[Sequence[float]]
"""A list of values a prompt; none is empty. May be iterated over several times."""
NONE: Interval = (None, None)


def overall_mean(tasks: Sequence[Groups]) -> float | None:
    """The mean of the tasks' means, of one task the mean over all its values; None without a task."""
    return _mean_of_means(tasks) if tasks else None


def prompt_bootstrap(groups: Groups, seed: int = 0) -> Interval:
    """Expanded percentile bootstrap of the mean over all values, drawing whole prompts; (None, None) below two."""
    return overall_bootstrap([groups], seed)


def overall_bootstrap(tasks: Sequence[Groups], seed: int = 0, weights: Sequence[float] | None = None) -> Interval:
    """The same for a mean of task means: prompts are drawn within their task.

    Expanded as for the task with the fewest prompts; (None, None) where one has fewer than two. The analytic form
    where a task has `MANY` prompts and the tasks count alike.

    Args:
        weights: of the tasks, one each; None where they count alike.
    """
    if not tasks or any(len(groups) < 2 for groups in tasks):
        return NONE
    if weights is None and any(len(groups) >= MANY for groups in tasks):
        return overall_analytic(tasks)
    generator = np.random.default_rng(seed)
    pairs = sorted(zip(map(_sums_and_sizes, tasks), weights or [1.0] * len(tasks), strict=True))
    means = [_drawn_means(prompts, generator) for prompts, _ in pairs]
    if weights is None:
        return _percentiles(np.mean(means, axis=0), min(map(len, tasks)))
    return _percentiles(np.average(means, axis=0, weights=[weight for _, weight in pairs]), min(map(len, tasks)))


def _sums_and_sizes(groups: Groups) -> list[tuple[float, int]]:
    """(sum, number of values) of each prompt, in an order that these alone decide."""
    return sorted((math.fsum(group), len(group)) for group in groups)


def drawn_counts(prompts: int, generator: np.random.Generator, draws: int = DRAWS) -> Floats:
    """[draws, prompts]: how often each prompt stands in a draw of as many prompts with replacement."""
    chosen = generator.integers(0, prompts, size=(draws, prompts))
    cells = chosen + np.arange(draws)[:, None] * prompts
    return np.bincount(cells.ravel(), minlength=draws * prompts).reshape(draws, prompts).astype(np.float64)


def prompt_weights(prompts: Sequence[str], draws: int, seed: int) -> tuple[Floats, int]:
    """([1 + draws, items]: the data itself, then how often each draw of whole prompts holds an item; prompts)."""
    names, places = np.unique(list(prompts), return_inverse=True)
    counts = drawn_counts(len(names), np.random.default_rng(seed), draws) if draws else np.zeros((0, len(names)))
    return np.vstack([np.ones((1, len(places))), counts[:, places]]), len(names)


def tail(prompts: int) -> float:
    """The share of draws to cut off at each end, so that the interval has Student's reach and not a shorter one.

    Plain percentiles (2.5 % at each end) are too close by sqrt((P - 1) / P) and by the normal quantile in place of
    Student's: for ten prompts they hold the truth 90 times of a hundred instead of 95. See Hesterberg, "What Teachers
    Should Know About the Bootstrap" (2015), on the expanded percentile interval.
    """
    # scipy.special holds the quantiles; scipy.stats takes seconds to import.
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(prompts / (prompts - 1)) * stdtrit(prompts - 1, 0.025)))


def _drawn_means(prompts: Sequence[tuple[float, int]], generator: np.random.Generator) -> Floats:
    sums, sizes = np.array(prompts, dtype=np.float64).T
    at_once = max(CELLS // len(prompts), 1)
    means = []
    for start in range(0, DRAWS, at_once):
        counts = drawn_counts(len(prompts), generator, min(at_once, DRAWS - start))
        means.append((counts @ sums) / (counts @ sizes))
    return np.concatenate(means)


def _percentiles(means: Floats, prompts: int) -> Interval:
    cut = tail(prompts)
    low, high = np.quantile(means, (cut, 1 - cut))
    return float(low), float(high)


def prompt_analytic(groups: Groups) -> Interval:
    """The mean plus and minus a quantile times its standard error with prompts as clusters.

    The error is that of a ratio (sum of values over number of values), with the factor P / (P - 1) for P prompts; the
    quantile is the normal distribution's, or Student's with P - 1 degrees of freedom below 50 prompts. (None, None)
    below two prompts.
    """
    return overall_analytic([groups])


def overall_analytic(tasks: Sequence[Groups]) -> Interval:
    """The same for a mean of task means: the tasks' errors are independent. Below 50 prompts in all Student's t has as
    many degrees of freedom as there are prompts, less one a task. (None, None) where a task has fewer than two prompts.
    """
    if not tasks or any(len(groups) < 2 for groups in tasks):
        return NONE
    error = math.hypot(*map(_prompt_error, tasks)) / len(tasks)
    prompts = sum(map(len, tasks))
    return _around(tasks, error, prompts - len(tasks), few=prompts < FEW)


def seed_analytic(groups: Groups) -> Interval:
    """The mean plus and minus the spread that other seeds would give with these prompts fixed.

    Only the spread within prompts counts. (None, None) where a prompt has a single value, which says nothing about it.
    """
    return overall_seeds([groups])


def overall_seeds(tasks: Sequence[Groups]) -> Interval:
    """The same for a mean of task means."""
    if not tasks or any(not groups or any(len(group) < 2 for group in groups) for groups in tasks):
        return NONE
    error = math.hypot(*map(_seed_error, tasks)) / len(tasks)
    freedom = sum(len(group) - 1 for groups in tasks for group in groups)
    return _around(tasks, error, freedom, few=freedom < FEW)


def inside(interval: Interval, within: tuple[float, float]) -> Interval:
    """The interval cut off where no mean can be: analytic ones reach beyond the range of their values."""
    low, high = interval
    return NONE if low is None or high is None else (max(low, within[0]), min(high, within[1]))


def quantile(freedom: int, *, few: bool) -> float:
    """How many standard errors a 95 % interval reaches: Student's t for few observations, else the normal's 1.96."""
    # scipy.special holds the quantiles; scipy.stats takes seconds to import.
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(freedom, 0.975)) if few else float(ndtri(0.975))


def _around(tasks: Sequence[Groups], error: float, freedom: int, *, few: bool) -> Interval:
    middle, reach = _mean_of_means(tasks), quantile(freedom, few=few) * error
    return middle - reach, middle + reach


def _mean_of_means(tasks: Sequence[Groups]) -> float:
    return math.fsum(map(_mean, tasks)) / len(tasks)


def _mean(groups: Groups) -> float:
    return math.fsum(value for group in groups for value in group) / sum(map(len, groups))


def _prompt_error(groups: Groups) -> float:
    """Standard error of the mean over all values, other prompts being drawn."""
    prompts, mean = len(groups), _mean(groups)
    squares = math.fsum((math.fsum(group) - mean * len(group)) ** 2 for group in groups)
    return math.sqrt(squares * prompts / (prompts - 1)) / sum(map(len, groups))


def clustered_error(sums: Floats, weights: Floats) -> float:
    """Standard error of a mean from each prompt's sum and weight in it, other prompts being drawn; at least two."""
    squares = np.square(sums - sums.sum() / weights.sum() * weights).sum()
    return math.sqrt(float(squares) * len(sums) / (len(sums) - 1)) / float(weights.sum())


def _seed_error(groups: Groups) -> float:
    """Standard error of the mean over all values, other seeds being drawn for these prompts."""
    squares = math.fsum(len(group) * float(np.var(sorted(group), ddof=1)) for group in groups)
    return math.sqrt(squares) / sum(map(len, groups))


def clustered_mean(groups: Groups) -> tuple[float, float, int]:
    """Mean over all values, its standard error with prompts as clusters (0 of a single prompt), and their number."""
    return _mean(groups), _prompt_error(groups) if len(groups) > 1 else 0.0, len(groups)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: None where undefined; `why` then says why.
        low, high: None where there is no interval (fewer than two clusters, or too few draws in which it is defined).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""

    def json(self) -> dict[str, Json]:
        """Value and interval, and where it is undefined the reason."""
        found: dict[str, Json] = {"value": self.value, "low": self.low, "high": self.high}
        return found | {"why": self.why} if self.value is None else found


def estimate(values: Floats, why: str = "", prompts: int = MANY) -> Estimate:
    """The estimate whose first entry is the value itself and whose other entries are bootstrap draws.

    Args:
        prompts: how many were drawn from; the interval is expanded as `tail` says.
    """
    first = float(values[0])
    if np.isnan(first):
        return Estimate(None, why=why or "undefined")
    drawn = values[1:]
    kept = drawn[~np.isnan(drawn)]
    if not len(drawn) or len(kept) < LEAST_DEFINED * len(drawn):
        return Estimate(first)
    if prompts < 2:
        return Estimate(first)
    low, high = np.quantile(kept, (tail(prompts), 1.0 - tail(prompts)))
    return Estimate(first, float(low), float(high))
