"""Agreement over cost as one drawing: a dot a judge with its interval, and the line of those that nobody dominates."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports import svg
from reports.frontier.costs import CURRENCIES
from reports.frontier.frontier import Frontier, FrontierRow
from reports.frontier.tables import amount, in_order

WIDTH, HEIGHT = 560.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 540.0, 26.0, 272.0
NOTHING = 34.0
"""Pixels between the place of what costs nothing, which a logarithm does not have, and the rest of the axis."""
DOT = 8.5
_CLEAR = 2.15 * DOT
"""Pixels between two dots' middles so that both numbers can be read."""


def plot(found: Frontier, currency: str) -> str:
    """The drawing; judges of unknown cost or undefined agreement are not in it."""
    places = {row.judge: number for number, row in enumerate(in_order(found), 1)}
    shown = [row for row in in_order(found) if row.cost.of(currency) is not None and row.agreement.value is not None]
    x, y = _CostAxis([row.cost.of(currency) or 0.0 for row in shown]), _agreement_axis(shown)
    middles = _apart([(x(row.cost.of(currency) or 0.0), y(row.agreement.value or 0.0)) for row in shown])
    best = [
        middle
        for row, middle in zip(shown, middles, strict=True)
        if currency not in row.dominated and not row.is_reference
    ]
    dots = [
        _dot(places[row.judge], row, middle, y, dominated=currency in row.dominated)
        for row, middle in zip(shown, middles, strict=True)
    ]
    name = f"{found.factor}: agreement with {found.reference} over {CURRENCIES[currency]}, {len(shown)} judges"
    return svg.picture(
        WIDTH, HEIGHT, name, _frame(x, y, currency, found.by), _steps(best), *(dot for _, dot in sorted(dots))
    )


class _CostAxis:
    """A logarithmic axis with a place of its own for 0."""

    def __init__(self, costs: Sequence[float]) -> None:
        some = [cost for cost in costs if cost > 0]
        low, high = (math.log10(min(some)), math.log10(max(some))) if some else (0.0, 0.0)
        pad = max(0.12 * (high - low), 0.15)
        self.nothing = any(cost == 0 for cost in costs)
        start = LEFT + 14 + (NOTHING + 18 if self.nothing else 0.0)
        self._axis = svg.Axis(low - pad, high + pad, start, RIGHT)
        self._zero = LEFT + 14 + DOT

    def __call__(self, cost: float) -> float:
        return self._axis(math.log10(cost)) if cost > 0 else self._zero

    def ticks(self) -> list[tuple[float, str]]:
        """(pixel, label): powers of ten, or finer steps where there is hardly one."""
        low, high = self._axis.low, self._axis.high
        steps = range(math.floor(low), math.ceil(high) + 1)
        found: list[tuple[float, str]] = []
        for factors in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
            every = [factor * 10.0**power for power in steps for factor in factors]
            found = [(self(cost), amount(cost)) for cost in every if low <= math.log10(cost) <= high]
            if len(found) > 2:
                break
        keep = max(math.ceil(len(found) / 8), 1)
        return [*([(self._zero, "0")] if self.nothing else []), *found[::keep]]


def _agreement_axis(rows: Sequence[FrontierRow]) -> svg.Axis:
    ends = [
        end for row in rows for end in (row.agreement.low, row.agreement.high, row.agreement.value) if end is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    pad = max(0.08 * (high - low), 0.02)
    return svg.Axis(max(low - pad, -1.0), min(high + pad, 1.04), BOTTOM, TOP)


def _frame(x: _CostAxis, y: svg.Axis, currency: str, by: str) -> str:
    parts = []
    for value in y.ticks():
        parts.append(svg.tag("line", x1=LEFT, x2=RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(svg.text(LEFT - 6, y(value) + 3.5, svg.tick_text(value), text_anchor="end"))
    for place, label in x.ticks():
        parts.append(svg.tag("line", x1=place, x2=place, y1=BOTTOM, y2=BOTTOM + 4, class_="grid"))
        parts.append(svg.text(place, BOTTOM + 17, label, text_anchor="middle"))
    parts.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 38, CURRENCIES[currency], text_anchor="middle"))
    parts.append(svg.text(LEFT - 40, TOP - 12, f"agreement ({by.replace('_', ' ')})"))
    return "".join(parts)


def _apart(middles: Sequence[svg.Point]) -> list[svg.Point]:
    """Dots that would cover one another moved to the right until they do not; their heights stay."""
    placed: list[svg.Point] = []
    for x, y in middles:
        while any(math.hypot(x - other_x, y - other_y) < _CLEAR for other_x, other_y in placed):
            x += 2.0  # noqa: PLW2901 (moved step by step)
        placed.append((x, y))
    return placed


def _dot(number: int, row: FrontierRow, middle: svg.Point, y: svg.Axis, *, dominated: bool) -> tuple[int, str]:
    """(order of drawing, the dot): what nobody dominates lies on top."""
    across, down = middle
    agreement, ends = row.agreement, ""
    if agreement.low is not None and agreement.high is not None and agreement.low < agreement.high:
        top, bottom = y(agreement.high), y(agreement.low)
        path = f"M{svg.short(across)} {svg.short(top)}V{svg.short(bottom)}"
        caps = "".join(f"M{svg.short(across - 3)} {svg.short(end)}h6" for end in (top, bottom))
        ends = svg.tag("path", d=path + caps, class_="whisker soft" if dominated else "whisker")
    kind = "judge reference" if row.is_reference else "judge dominated" if dominated else "judge"
    circle = svg.tag("circle", svg.tag("title", row.judge), cx=across, cy=down, r=DOT, class_=kind)
    label = svg.text(across, down + 3.7, str(number), text_anchor="middle", class_=f"number {kind}")
    return int(not dominated), ends + circle + label


def _steps(points: Sequence[svg.Point]) -> str:
    """The line of the best agreement for a cost, which rises in steps."""
    best: list[svg.Point] = []
    for across, down in sorted(points):
        if best and down >= best[-1][1]:
            continue
        best += [(across, best[-1][1])] if best else []
        best.append((across, down))
    return svg.line([*best, (RIGHT, best[-1][1])], "line frontier") if best else ""
