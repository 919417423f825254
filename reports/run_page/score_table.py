"""The table of scores: a group of rows a judge, a row a category, with intervals, counts, published marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from gotr1_eval.core.statistics.summary import Summary
from reports import svg
from reports.published.metrics import read_name
from reports.published.peers import Peers
from reports.run_data import JudgeColumn, RunData
from reports.run_summary import SUMS, TASK_MEAN, Table

WIDTH, HEIGHT = 170, 18
FAMILIES = ("Janus-Pro-", "GoT-R1-")
"""The models that this project's runs start from, and those that they are to become."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One category under one judge, or several together."""

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


def overview(groups: Sequence[JudgeRows]) -> dict[str, list[Summary | None]]:
    """Row -> each judge's cell, None where it does not apply: the means at a glance, where most judges apply to most
    categories. Empty where they do not, or where there is one judge or one row only."""
    names = dict.fromkeys(row.category for group in groups for row in group.rows)
    names = dict.fromkeys(sorted(names, key=lambda name: name in SUMS))
    by_judge = [{row.category: row.cell for row in group.rows} for group in groups]
    filled = sum(map(len, by_judge))
    if len(groups) < 2 or len(names) < 2 or 2 * filled < len(groups) * len(names):
        return {}
    return {name: [cells.get(name) for cells in by_judge] for name in names}


def fault_lines(peers: Peers) -> list[tuple[list[str], str]]:
    """(metrics, what stands against comparing them): a line for the metrics that share their faults."""
    found: dict[str, list[str]] = {}
    for metric, faults in peers.faults.items():
        if faults:
            found.setdefault("; ".join(faults), []).append(metric)
    return [(metrics, fault) for fault, metrics in found.items()]


def _of_judge(table: Table, column: JudgeColumn, published: Published) -> JudgeRows:
    cells = {category: row[column.name] for category, row in table.rows.items()}
    pooled = SUMS if len(cells) > 1 else ()
    due = {name: cell for name, cell in cells.items() if cell.scored or cell.unscored or cell.missing}
    if len([name for name in due if name not in pooled]) == 1:
        due = {name: cell for name, cell in due.items() if name not in pooled}
    others = {category: tuple(published.get((column.name, category), ())) for category in due}
    ends = [end for cell in due.values() for end in (cell.low, cell.high, cell.mean) if end is not None]
    axis = bar_axis(column.range, [*ends, *(row.value for rows in others.values() for row in rows)])
    rows = tuple(
        ScoreRow(category, category in pooled, cell, _bar(axis, category, cell, others[category]), others[category])
        for category, cell in due.items()
    )
    absent = tuple(name for name in cells if name not in due and name not in pooled)
    return JudgeRows(column, rows, (axis.low, axis.high), absent)


def bar_axis(declared: tuple[float, float], values: Sequence[float]) -> svg.Axis:
    """The scale of a judge's bars: from 0 to a round number with room for the largest value, or to the range's end
    where that is near. A cosine's range says little about its values."""
    highest, lowest = max(values, default=0.0), min(values, default=0.0)
    high = next(step for step in _rounds() if step >= highest)
    if declared[0] == 0 and highest <= declared[1] <= 2 * high:
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
        diamond = f"M{svg.short(axis(row.value))} {svg.short(middle - 4)}l4 4l-4 4l-4 -4z"
        name = svg.tag("title", escape(f"{row.label}: {row.value}"))
        parts.append(svg.tag("path", name, d=diamond, class_="mark"))
    return svg.picture(WIDTH, HEIGHT, words, *parts)


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """Who scored how much, and where that is printed; without a source it is that of the score before."""

    label: str
    value: float
    source: str = ""


Published = Mapping[tuple[str, str], Sequence[PublishedScore]]
"""(judge, row of the table) -> published scores, for cells that have any."""


def published_scores(run: RunData, groups: Sequence[Peers]) -> Published:
    """The families' published scores, where the run's is comparable.

    Of two protocols the first that has the metric counts, so that no cell mixes them.
    """
    found: dict[tuple[str, str], list[PublishedScore]] = {}
    for metric, cell in _cells(run):
        for group in groups:
            if metric in group.comparable and cell not in found and (scores := _family(group, metric)):
                found[cell] = scores
    return found


def _cells(run: RunData) -> Iterator[tuple[str, tuple[str, str]]]:
    """(official metric, (judge, row of the table)) of a run's judges."""
    for column in run.judges:
        if (name := read_name(column.name, run)) is not None:
            yield from ((category, (column.name, category)) for category in name.categories)
            if overall := name.benchmark.mean_of_categories:
                yield overall, (column.name, TASK_MEAN)


def _family(group: Peers, metric: str) -> list[PublishedScore]:
    scores: list[PublishedScore] = []
    before = ""
    for row in group.rows:
        if row.main and not row.transcribed and metric in row.values and row.model.startswith(FAMILIES):
            source = f"{group.protocol}; {row.source}"
            scores.append(PublishedScore(row.model, row.values[metric], "" if source == before else source))
            before = source
    return scores
