"""The table of scores: a group of rows a judge, a row a category, with intervals, counts and published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from gotr1_eval.core.statistics import Summary
from reports import svg
from reports.run_data import JudgeColumn
from reports.tables import ALL, TASK_MEAN, Table

WIDTH, HEIGHT = 170, 18


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """A number from a paper that may stand beside a cell: who, how much, where it is printed."""

    label: str
    value: float
    source: str = ""


Published = Mapping[tuple[str, str], Sequence[PublishedScore]]
"""(judge name, category) -> published numbers, of cells that have any."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One category under one judge."""

    category: str
    pooled: bool
    cell: Summary
    bar: str
    published: tuple[PublishedScore, ...]


@dataclass(frozen=True, slots=True)
class JudgeRows:
    """One judge's rows.

    Attributes:
        scale: both ends of the bars.
        beside: categories the judge has nothing to say about.
    """

    judge: JudgeColumn
    rows: tuple[ScoreRow, ...]
    scale: tuple[float, float]
    beside: tuple[str, ...]


def judge_rows(table: Table, published: Published) -> list[JudgeRows]:
    """The table's groups, the total before its judges."""
    columns = sorted(table.judges, key=lambda column: column.factor != "total")
    return [_of_judge(table, column, published) for column in columns]


def _of_judge(table: Table, column: JudgeColumn, published: Published) -> JudgeRows:
    cells = {category: row[column.name] for category, row in table.rows.items()}
    due = {name: cell for name, cell in cells.items() if cell.scored or cell.unscored or cell.missing}
    if len(due) == 2 and ALL in due and len(cells) > 2:
        del due[ALL]
    beside = {category: tuple(published.get((column.name, category), ())) for category in due}
    highs = [cell.high or cell.mean or 0.0 for cell in due.values()]
    lows = [cell.low or cell.mean or 0.0 for cell in due.values()]
    others = [row.value for rows in beside.values() for row in rows]
    axis = bar_axis(column.range, [*highs, *lows, *others])
    rows = tuple(
        ScoreRow(
            category=category,
            pooled=category in (ALL, TASK_MEAN) and len(cells) > 1,
            cell=cell,
            bar=_bar(axis, category, cell, beside[category]),
            published=beside[category],
        )
        for category, cell in due.items()
    )
    absent = tuple(name for name in cells if name not in due and name not in (ALL, TASK_MEAN))
    return JudgeRows(column, rows, (axis.low, axis.high), absent)


def bar_axis(declared: tuple[float, float], values: Sequence[float]) -> svg.Axis:
    """The scale of a judge's bars: from 0 to a round number at which the largest value has room."""
    highest, lowest = max(values, default=0.0), min(values, default=0.0)
    high = next(step for step in _rounds() if step >= highest)
    if highest <= declared[1] <= 2 * high:
        high = declared[1]
    low = 0.0 if lowest >= 0 else -next(step for step in _rounds() if step >= -lowest)
    return svg.Axis(low, high, 1, WIDTH - 1)


def _rounds() -> list[float]:
    return [factor * 10.0**power for power in range(-4, 9) for factor in (1, 2, 5)]


def _bar(axis: svg.Axis, category: str, cell: Summary, published: Sequence[PublishedScore]) -> str:
    """Bar to the mean, whisker over prompts, a diamond for each published number."""
    middle = HEIGHT / 2
    parts = [svg.tag("rect", x=axis.start, y=middle - 4, width=axis.end - axis.start, height=8, class_="track")]
    words = f"{category}: no score"
    if cell.mean is not None:
        left, right = sorted((axis(0.0), axis(cell.mean)))
        parts.append(svg.tag("rect", x=left, y=middle - 4, width=right - left, height=8, class_="bar"))
        words = f"{category}: {svg.plain(cell.mean)}"
        if cell.low is not None and cell.high is not None:
            parts.append(svg.whisker(axis, middle, cell.low, cell.high))
            words += f", over prompts {svg.plain(cell.low)} to {svg.plain(cell.high)}"
    for row in published:
        diamond = f"M{svg.short(axis(row.value))} {svg.short(middle - 5)}l5 5l-5 5l-5 -5z"
        parts.append(svg.tag("path", svg.tag("title", escape(row.label)), d=diamond, class_="mark"))
    return svg.picture(WIDTH, HEIGHT, words, *parts)
