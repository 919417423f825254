"""Krippendorff's alpha: how far people agree beyond chance.

    alpha = 1 - D_o / D_e

Observed disagreement D_o is taken over pairs of ratings of one unit, expected disagreement D_e over all pairs of
ratings that stand in units with two or more. Units may have any number of ratings; one without a partner does not
count. (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal, get_args

import numpy as np

from gotr1_eval.core.statistics.ranks import Floats

Level = Literal["nominal", "ordinal", "interval", "ratio"]
LEVELS: tuple[Level, ...] = get_args(Level)
MOST_CELLS = 10_000_000
"""Units times squared number of values, above which coincidences of single units are not kept for the bootstrap."""


class Coincidences:
    """Ratings of units, counted so that any level and any weights of units follow without reading them again.

    Args:
        units: the ratings of every unit, in any order; numbers, or words for the nominal level.
    """

    def __init__(self, units: Sequence[Sequence[Hashable]]) -> None:
        paired = [unit for unit in units if len(unit) > 1]
        self.kept = np.array([index for index, unit in enumerate(units) if len(unit) > 1], dtype=np.intp)
        self.values = sorted({rating for unit in paired for rating in unit})  # type: ignore[type-var]
        place = {value: index for index, value in enumerate(self.values)}
        self.counts = np.zeros((len(paired), len(place)))
        for row, unit in enumerate(paired):
            np.add.at(self.counts[row], [place[rating] for rating in unit], 1)

    @property
    def why_undefined(self) -> str:
        """Why there is no alpha at all; empty where there is one."""
        if not len(self.counts):
            return "no unit has two ratings"
        return "no disagreement is possible: all ratings are equal" if len(self.values) == 1 else ""

    def alpha(self, level: Level) -> float:
        """Alpha over all units, at most 1; NaN where it is undefined."""
        return float(self.alphas(level, np.ones((1, len(self.counts))))[0])

    def alphas(self, level: Level, weights: Floats) -> Floats:
        """Alpha for each row of weights.

        Args:
            weights: [draws, kept units] how often a unit stands in the data.

        Returns:
            [draws]; NaN where all ratings of a draw are equal.

        Raises:
            ValueError: a level other than nominal for words, or negative numbers on a ratio scale.
        """
        found = np.full(len(weights), np.nan)
        for draw, (totals, observed) in enumerate(zip(weights @ self.counts, self._observed(weights), strict=True)):
            delta = _squared_differences(level, self.values, totals)
            expected = totals @ delta @ totals
            if expected > 0:
                found[draw] = 1.0 - (totals.sum() - 1.0) * float((observed * delta).sum()) / expected
        return found

    def _observed(self, weights: Floats) -> Floats:
        """Coincidences, [draws, values, values]: pairs of ratings of one unit, each over its ratings less one."""
        partners = self.counts.sum(axis=1) - 1.0
        width = len(self.values)
        scaled = self.counts / partners[:, None]
        if len(weights) == 1:
            weighted = scaled * weights[0][:, None]
            return np.asarray(weighted.T @ self.counts - np.diag(weighted.sum(axis=0)))[None]
        pairs = np.einsum("uv,uw->uvw", scaled, self.counts)
        pairs[:, range(width), range(width)] -= scaled
        return np.asarray(weights @ pairs.reshape(len(pairs), -1)).reshape(-1, width, width)

    @property
    def small(self) -> bool:
        """Whether many rows of weights fit into memory."""
        return len(self.counts) * len(self.values) ** 2 <= MOST_CELLS


def _squared_differences(level: Level, values: Sequence[Hashable], totals: Floats) -> Floats:
    """The squared difference function of a level, [values, values]."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if not all(isinstance(value, (int, float)) for value in values):
        raise ValueError(f"the {level} level needs numbers")
    if level == "ordinal":
        # Half of each end's ratings and all between them: the distance of two ranks.
        ranks = np.cumsum(totals) - totals / 2.0
        return np.asarray((ranks[:, None] - ranks[None, :]) ** 2)
    numbers = np.array(values, dtype=float)
    differences = numbers[:, None] - numbers[None, :]
    if level == "interval":
        return np.asarray(differences**2)
    if (numbers < 0).any():
        raise ValueError("the ratio level needs numbers that are not negative")
    sums = numbers[:, None] + numbers[None, :]
    return np.asarray(np.divide(differences, sums, out=np.zeros_like(sums), where=sums > 0) ** 2)


def alpha(units: Sequence[Sequence[Hashable]], level: Level) -> float:
    """Krippendorff's alpha of ratings grouped by unit; NaN where it is undefined (see `Coincidences`)."""
    return Coincidences(units).alpha(level)
