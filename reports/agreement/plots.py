"""A judge and people item by item, drawn: every item as a dot, and how many items fall together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reports import svg
from reports.agreement.judge_agreement import JudgeRow

MOST_DOTS = 1500
"""Of more units this many are drawn, evenly through the file."""
FEW = 200
"""Dots that are drawn stronger: so few hardly cover one another."""
MOST_BINS = 12
"""Cells along each side; values are put together in bins of equal width beyond it, named by their middles."""
MANY = 8
"""Cells along a side beyond which their names get shorter, so that they do not touch."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plots:
    """The two plots of a judge and dimension."""

    row: JudgeRow
    scatter: str
    confusion: str


def scatter(row: JudgeRow) -> str:
    """Every unit's score over people's mark, shifted a little so that equal ones can be told apart."""
    judge, people = _columns(row)
    generator = np.random.default_rng(0)
    shifted = [values + _jitter(values, generator) for values in (people, judge)]
    across, up = (svg.Axis(float(values.min()), float(values.max()), *ends) for values, ends in zip(
        shifted, ((44.0, 316.0), (212.0, 22.0)), strict=True
    ))  # fmt: skip
    shown = np.linspace(0, len(judge) - 1, min(len(judge), MOST_DOTS)).astype(int)
    points = [(across(float(shifted[0][place])), up(float(shifted[1][place]))) for place in shown]
    name = f"Scatter plot of {row.judge} against people on {row.dimension}, {row.n} items"
    dots = svg.dots(points, "dot few" if len(points) <= FEW else "dot")
    return svg.picture(330, 250, name, svg.frame(across, up, "people", "judge"), dots)


def confusion(row: JudgeRow) -> str:
    """How many units people marked so while the judge scored them so."""
    judge, people = _columns(row)
    (rows, row_names), (columns, column_names) = _binned(judge), _binned(people)
    counts = np.zeros((len(row_names), len(column_names)))
    np.add.at(counts, (rows, columns), 1)
    left, top, width, height = 54.0, 22.0, 268.0, 190.0
    wide, high = width / len(column_names), height / len(row_names)
    parts = [svg.text(left, 12, "judge")]
    for place, label in enumerate(row_names):
        parts.append(svg.text(left - 6, top + height - (place + 0.5) * high + 4, label, text_anchor="end"))
    for place, label in enumerate(column_names):
        x, y = left + (place + 0.5) * wide, top + height + 12
        parts.append(svg.text(x, y, label, text_anchor="middle"))
    for (up, across), count in np.ndenumerate(counts):
        if count:
            x, y = left + across * wide, top + height - (up + 1) * high
            parts.append(_cell(x, y, wide, high, int(count), float(np.sqrt(count / counts.max()))))
    parts.append(svg.text(left + width / 2, top + height + 31, "people", text_anchor="middle"))
    name = f"Confusion plot of {row.judge} against people on {row.dimension}, {row.n} items"
    return svg.picture(330, 250, name, *parts)


def _cell(x: float, y: float, width: float, height: float, count: int, share: float) -> str:
    """A tile that is the stronger the more units it has; the number is left out where it would not fit."""
    tile = svg.tag(
        "rect", x=x, y=y, width=width - 1, height=height - 1, class_="tile", fill_opacity=round(0.08 + 0.6 * share, 3)
    )
    fits = width >= 7 * len(str(count)) and height >= 11
    label = svg.text(x + width / 2, y + height / 2 + 4, str(count), text_anchor="middle", class_="strong")
    return tile + label if fits else tile


def _columns(row: JudgeRow) -> tuple[Floats, Floats]:
    points = np.array([(judge, people) for judge, people, _ in row.points], dtype=float)
    return points[:, 0], points[:, 1]


def _jitter(values: Floats, generator: np.random.Generator) -> Floats:
    """A fifth of the smallest step between two values; next to nothing for fine scales."""
    steps = np.diff(np.unique(values))
    width = 0.2 * float(steps.min()) if len(steps) else 0.0
    return generator.uniform(-width, width, len(values))


def _binned(values: Floats) -> tuple[NDArray[np.intp], list[str]]:
    """Each value's bin, and the bins' names: the values themselves where they are few."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= MOST_BINS:
        digits = 3 if len(distinct) <= MANY else 2
        return places, [f"{value:.{digits}g}" for value in distinct]
    edges = np.linspace(distinct[0], distinct[-1], MOST_BINS + 1)
    names = [f"{(low + high) / 2:.2g}" for low, high in pairwise(edges)]
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, MOST_BINS - 1), names
