"""Where a sample stands among the run's samples, and how far its judges disagree about that.

Judges have scales of their own: a 0.3 is poor for one and the best a cosine ever gives. What compares them is the rank:
the share of the run's samples that a judge puts below this one, equal ones counted half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.statistics.correlations import rank_correlation
from gotr1_eval.core.statistics.ranks import Floats, shares_below
from reports.run_data import RunData


@dataclass(frozen=True, slots=True)
class SampleRanks:
    """One entry a sample, in the run's order; NaN where there is none.

    Attributes:
        values: judge name -> its scores.
        overall: the sample's rank in [0, 1] by the total, or by its mean rank over judges where there is no total.
        disagreement: the largest difference of its ranks by two judges, in [0, 1]; the total is no judge.
        unscored: whether a judge that should have scored it did not.
    """

    values: dict[str, Floats]
    overall: Floats
    disagreement: Floats
    unscored: NDArray[np.bool_]


def rank_samples(run: RunData) -> SampleRanks:
    """The ranks of all samples of a run."""
    values = {column.name: _values(run, column.name) for column in run.judges}
    ranks = {name: shares_below(of_judge) for name, of_judge in values.items()}
    single = [ranks[column.name] for column in run.judges if column.factor != "total"]
    judged = np.array(single).reshape(
        len(single), len(run.samples)
    )  # also where there are no judges, or no samples yet
    total = next((ranks[column.name] for column in run.judges if column.factor == "total"), None)
    there = ~np.isnan(judged)
    count = there.sum(axis=0)
    mean = np.where(there, judged, 0.0).sum(axis=0) / np.maximum(count, 1)
    spread = np.where(there, judged, -np.inf).max(axis=0, initial=0.0) - np.where(there, judged, np.inf).min(
        axis=0, initial=1.0
    )
    return SampleRanks(
        values,
        overall=np.where(count > 0, mean, np.nan) if total is None else total,
        disagreement=np.where(count > 1, spread, np.nan),
        unscored=np.array([_unscored(run, identity) for identity in run.samples], dtype=bool),
    )


def shared_correlation(x: Floats, y: Floats) -> tuple[float | None, int]:
    """(rank correlation over the samples that have both, how many have both); None where it is undefined."""
    both = ~np.isnan(x) & ~np.isnan(y)
    return rank_correlation(x[both], y[both]), int(both.sum())


def _values(run: RunData, judge: str) -> Floats:
    outcomes = (run.outcomes[judge].get(identity) for identity in run.samples)
    return np.array([outcome.value if isinstance(outcome, Score) else np.nan for outcome in outcomes], dtype=float)


def _unscored(run: RunData, identity: str) -> bool:
    outcomes = (run.outcomes[column.name].get(identity) for column in run.judges)
    return any(isinstance(outcome, Unscored) and outcome.why is not Why.NOT_APPLICABLE for outcome in outcomes)


def chosen_samples(ranked: SampleRanks, most: int, seed: int = 0) -> dict[int, str]:
    """At most so many samples, each with the reason why it was chosen; all of them, without one, when they fit.

    The worst, the best and those most disagreed on take a quarter each, up to a tenth goes to what a judge left
    unscored, and the rest is drawn at random. In turn, so that the first samples of the choice hold some of each.
    """
    number = len(ranked.overall)
    if number <= most:
        return dict.fromkeys(range(number), "")
    lists = {
        "unscored": _first(np.flatnonzero(ranked.unscored), most // 10),
        "worst": _first(_sorted(ranked.overall), most // 4),
        "best": _first(_sorted(-ranked.overall), most // 4),
        "disagreed on": _first(_sorted(-ranked.disagreement), most // 4),
        "random": list(map(int, np.random.default_rng(seed).permutation(number))),
    }
    chosen: dict[int, str] = {}
    while len(chosen) < most:
        for reason, waiting in lists.items():
            while waiting and waiting[0] in chosen:
                waiting.pop(0)
            if waiting and len(chosen) < most:
                chosen[waiting.pop(0)] = reason
    return chosen


def _sorted(keys: Floats) -> NDArray[np.intp]:
    """Places in ascending order of their keys; those without one are left out."""
    order = np.argsort(keys, kind="stable")
    return order[~np.isnan(keys[order])]


def _first(places: Sequence[int] | NDArray[np.intp], most: int) -> list[int]:
    return [int(place) for place in places[:most]]
