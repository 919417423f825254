"""The human ceiling: how well does one rater agree with the others, and how well does the judge on the same units?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gotr1_eval.core.statistics.correlations import NAMES, average, correlations
from gotr1_eval.core.statistics.intervals import Estimate, estimate
from gotr1_eval.core.statistics.ranks import Floats
from reports.agreement.marks import Draws, Mark, Unit
from reports.agreement.people import consensus

LEAST_UNITS = 10
"""Units that a rater must share with others; a correlation over fewer says little."""


class Ceiling:
    """Every rater against the consensus of all others, over the units that they share.

    Attributes:
        raters: how many raters share enough units with others.
        coefficients: the Fisher average over raters.
    """

    def __init__(self, people: Mapping[Unit, Mapping[str, Mark]], by: str, draws: Draws) -> None:
        self._draws = draws
        self._others: list[dict[Unit, float]] = []
        found = []
        for rater in dict.fromkeys(who for said in people.values() for who in said):
            pairs = {unit: pair for unit, said in people.items() if (pair := _left_out(said, rater, by)) is not None}
            if len(pairs) < LEAST_UNITS:
                continue
            own, others = (np.array([pair[place] for pair in pairs.values()]) for place in (0, 1))
            found.append(correlations(own, others, draws.weights(list(pairs))))
            self._others.append({unit: pair[1] for unit, pair in pairs.items()})
        self.raters = len(found)
        self.coefficients = _averaged(found)

    def judge(self, scores: Mapping[Unit, float]) -> dict[str, Estimate]:
        """The judge against the same consensus of all raters but one, averaged in the same way."""
        found = []
        for others in self._others:
            units = [unit for unit in others if unit in scores]
            own, rest = (np.array([of[unit] for unit in units], dtype=float) for of in (scores, others))
            found.append(correlations(own, rest, self._draws.weights(units)))
        return _averaged(found)


def _left_out(said: Mapping[str, Mark], rater: str, by: str) -> tuple[float, float] | None:
    """(the rater's mark, the others' consensus), None where there are not both."""
    own = said.get(rater)
    others = consensus({who: mark for who, mark in said.items() if who != rater}, by)
    return (own, others) if isinstance(own, float) and others is not None else None


def _averaged(found: Sequence[Mapping[str, Floats]]) -> dict[str, Estimate]:
    """The average over raters of each coefficient, draw by draw."""
    if not found:
        return {name: Estimate(None, why=f"no rater shares {LEAST_UNITS} units with others") for name in NAMES}
    averages = {}
    for name in NAMES:
        draws = min(len(one[name]) for one in found)
        values = np.stack([one[name][:draws] for one in found])
        known = values[~np.isnan(values[:, 0])]
        averages[name] = estimate(average(known)) if len(known) else Estimate(None, why="no rater's marks vary")
    return averages
