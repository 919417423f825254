"""Bootstrap by prompts drawn whole, written as weights: a row a draw, a column an item."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from reports.agreement.correlations import Floats

LEAST_DEFINED = 0.9
"""Share of draws in which a number must be defined for an interval to be given."""


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


def draw_weights(clusters: Sequence[Hashable], draws: int, seed: int, base: Floats | None = None) -> Floats:
    """[1 + draws, items]: the first row is the data itself, each other row a draw of whole clusters with replacement.

    Args:
        clusters: of every item; items of one prompt are alike and are drawn together.
        draws: none below two clusters, where nothing can be said about the spread.
        base: design weight of every item, 1 by default.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    places = np.array([names[name] for name in clusters], dtype=np.intp)
    own = np.ones(len(clusters)) if base is None else base
    if len(names) < 2 or draws == 0:
        return own[None, :]
    generator = np.random.default_rng(seed)
    often = generator.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=draws)
    return np.vstack([own[None, :], often[:, places] * own])


def estimate(values: Floats, why: str = "") -> Estimate:
    """The estimate whose first entry is the value itself and whose other entries are bootstrap draws."""
    first = float(values[0])
    if np.isnan(first):
        return Estimate(None, why=why or "undefined")
    drawn = values[1:]
    kept = drawn[~np.isnan(drawn)]
    if not len(drawn) or len(kept) < LEAST_DEFINED * len(drawn):
        return Estimate(first)
    low, high = np.percentile(kept, (2.5, 97.5))
    return Estimate(first, float(low), float(high))
