"""How surely a study of n items and k raters will know a correlation between judge and people.

The mean of k raters is less noisy than one: its correlation with anything grows by the square root of its reliability
(Spearman 1910, Brown 1910). The half-width is that of the 95 % interval on Fisher's scale, its middle turned back;
unequal weights cost items (Kish's effective number). A simulation in the tests holds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964


@dataclass(frozen=True, slots=True)
class Power:
    """What so many items and raters buy.

    Attributes:
        expected: the correlation with the mean of the raters that can be expected.
        half_width: of its 95 % interval; None below four effective items.
    """

    items: int
    raters: int
    expected: float
    half_width: float | None


def reliability(single: float, raters: int) -> float:
    """Of the mean of several raters, from the correlation between two single ones (Spearman-Brown)."""
    return raters * single / (1.0 + (raters - 1) * single)


def effective_items(chances: Sequence[float]) -> float:
    """Kish's effective number of items that are weighted by their inverse inclusion probability."""
    weights = [1.0 / chance for chance in chances]
    return math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)


def power(items: int, raters: int, *, judge: float, people: float, share: float = 1.0) -> Power:
    """What `items` and `raters` buy.

    Args:
        judge: correlation of the judge with a perfectly reliable rating, in (-1, 1).
        people: correlation between two raters, in (0, 1].
        share: effective items over items.
    """
    expected = judge * math.sqrt(reliability(people, raters))
    effective = items * share
    if effective <= 3:
        return Power(items, raters, expected, None)
    spread = Z / math.sqrt(effective - 3)
    middle = math.atanh(expected)
    return Power(items, raters, expected, (math.tanh(middle + spread) - math.tanh(middle - spread)) / 2)
