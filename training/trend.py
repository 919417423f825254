"""Where a run is going: the trend of its reward, judges that go the other way, samples of a prompt that become alike,
sampler and trainer that drift apart.

A reward that rises while an independent judge of the same pictures falls is being gamed (the paper saw it with HPS
alone). Means of single steps are noisy; everything here looks at the last `SPAN` steps at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.correlations import rank_correlation

WINDOW = 10
"""Steps whose mean is set against that of as many before them."""

SPAN = 40
"""Steps over which judges are compared."""

STEEP = 1.5
"""Standard deviations over the span that count as rising or falling. A line has 3.5; of noise alone, over 40 steps, one
span in 150 is as steep in a given direction."""


COLLAPSED = 0.5
"""Share of the diversity of a run's first steps at which the samples of a prompt are called alike."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """How a watched judge goes beside the reward.

    Attributes:
        correlation: Spearman's, over the steps; None where either never changes.
        reward, watched: their rise over the span, in standard deviations of their own.
    """

    correlation: float | None
    reward: float
    watched: float

    @property
    def gap(self) -> float:
        """By how much the reward rises more, in standard deviations."""
        return self.reward - self.watched

    @property
    def alarming(self) -> bool:
        """The reward rises and the watched judge falls, both beyond noise."""
        return self.reward >= STEEP and self.watched <= -STEEP


def change(values: Sequence[float], window: int = WINDOW) -> float | None:
    """The mean of the last `window` values less that of as many before them; None where there are fewer."""
    if len(values) < 2 * window:
        return None
    return float(np.mean(values[-window:]) - np.mean(values[-2 * window : -window]))


def standard_rise(values: Sequence[float]) -> float:
    """The rise of the least-squares line from first to last, over the values' standard deviation.

    0 where they are even, sqrt(12) = 3.46 for a long straight line.
    """
    spread = float(np.std(values))
    if len(values) < 2 or spread <= 1e-12:
        return 0.0
    slope = float(np.polyfit(np.arange(len(values)), values, 1)[0])
    return slope * (len(values) - 1) / spread


def diverge(reward: Sequence[float], watched: Sequence[float]) -> Divergence:
    """Both series over the same steps."""
    correlation = rank_correlation(np.asarray(reward, dtype=float), np.asarray(watched, dtype=float))
    return Divergence(correlation, standard_rise(reward), standard_rise(watched))


class TrendWatch:
    """The last steps of a run; made anew from its metrics when it goes on.

    Args:
        headline: the factor that is the reward.
        rows: metrics of the steps so far; of a step that was done twice the later row counts.
    """

    def __init__(self, headline: str, rows: Iterable[Mapping[str, float]] = ()) -> None:
        self._headline = headline
        steps = {row["step"]: row for row in rows}
        ordered = [steps[step] for step in sorted(steps)]
        self._first = ordered[:WINDOW]
        self._rows: deque[Mapping[str, float]] = deque(ordered, maxlen=SPAN)

    def see(self, row: Mapping[str, float]) -> dict[str, float]:
        """What the run's last steps say, once there are enough: trend of the reward, divergence of watched judges, and
        which share of its first steps' diversity is left."""
        self._rows.append(row)
        if len(self._first) < WINDOW:
            self._first.append(row)
        found: dict[str, float] = {}
        trend = change(self._series(f"reward/{self._headline}/mean"))
        if trend is not None:
            found[f"reward/{self._headline}/trend"] = trend
        for name in row:
            if name.startswith("watched/") and name.endswith("/mean"):
                found |= self._divergence(name)
            if name.startswith("diversity/"):
                found |= self._left(name)
        return found

    def _series(self, name: str) -> list[float]:
        return [row[name] for row in self._rows if name in row]

    def _left(self, name: str) -> dict[str, float]:
        first = [row[name] for row in self._first if name in row]
        last = self._series(name)[-WINDOW:]
        if len(first) < WINDOW or len(last) < WINDOW or not any(first):
            return {}
        return {f"diversity_left/{name.removeprefix('diversity/')}": float(np.mean(last) / np.mean(first))}

    def _divergence(self, name: str) -> dict[str, float]:
        reward = f"reward/{self._headline}/mean"
        both = [row for row in self._rows if name in row and reward in row]
        if len(both) < 2 * WINDOW:
            return {}
        found, judge = diverge([row[reward] for row in both], [row[name] for row in both]), name.removesuffix("/mean")
        told = {f"{judge}/gap": found.gap, f"{judge}/alarm": float(found.alarming)}
        return told if found.correlation is None else {f"{judge}/correlation": found.correlation, **told}


DRIFTING = 0.05
"""Share of a segment's tokens that have drifted from which on it is told. Float32 has none; bfloat16 with guidance 5
has about 1 %."""


def drifting(metrics: Mapping[str, float]) -> dict[str, float]:
    """Segment -> share of its tokens whose probability the trainer and the sampler see too differently."""
    shares = {name.removesuffix("/drifted"): value for name, value in metrics.items() if name.endswith("/drifted")}
    return {segment: share for segment, share in shares.items() if share > DRIFTING}


def alarms(metrics: Mapping[str, float]) -> list[str]:
    """The watched judges of a step's metrics that fall while the reward rises."""
    return [name.split("/")[1] for name, value in metrics.items() if name.endswith("/alarm") and value]


def collapsed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Measure of diversity -> which share of that of the first steps is left, where that is less than `COLLAPSED`."""
    left = {
        name.removeprefix("diversity_left/").replace("_", " "): share
        for name, share in metrics.items()
        if name.startswith("diversity_left/")
    }
    return {name: share for name, share in left.items() if share < COLLAPSED}
