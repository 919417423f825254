"""What a reader sees first of a run: one sentence, its best and worst pictures, and one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from gotr1_eval.core.statistics.summary import Summary
from reports import svg
from reports.published.metrics import read_name
from reports.published.peers import Peers
from reports.run_data import RunData
from reports.run_page.sample_ranks import SampleRanks
from reports.run_page.score_table import JudgeRows, ScoreRow, bar_axis
from reports.run_summary import ALL, SUMS, Table

PICTURES = 6
"""Of the best, and of the worst."""
BARS = 14
"""Most categories of the chart; the table has all."""
_WIDTH, _LABEL, _VALUE, _STEP = 460, 118, 46, 24


@dataclass(frozen=True, slots=True)
class Glance:
    """A sample in small: its row in the gallery, its picture or why there is none, and what it scored."""

    row: int
    prompt: str
    url: str | None
    sharp: bool
    score: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with intervals, and in words what they are of."""

    caption: str
    note: str
    drawing: str


@dataclass(frozen=True, slots=True)
class Opening:
    """The first screen.

    Attributes:
        sentences: what ran and what it came to; how it stands beside published rows where that is allowed; what is
            wrong with the run.
        strips: (heading, samples).
        chart: None where nothing was scored.
    """

    sentences: tuple[str, ...]
    strips: tuple[tuple[str, tuple[Glance, ...]], ...]
    chart: Chart | None


def opening(
    run: RunData, table: Table, groups: Sequence[JudgeRows], peers: Sequence[Peers], ranked: SampleRanks,
    rows: Mapping[str, Any], details: Mapping[int, Mapping[str, Any]],
) -> Opening:  # fmt: skip
    """The first screen of a run.

    Args:
        groups: the table's rows by judge, the total first.
        rows, details: of the gallery: its columns, and row -> what is shown of a sample.
    """
    headed, bars = _headline(run, groups)
    sentences = (_came_to(run, headed, bars), *_beside_published(peers), _wrong(run, table))
    return Opening(sentences, _strips(run, ranked, rows, details), _chart(headed, bars))


def _headline(run: RunData, groups: Sequence[JudgeRows]) -> tuple[str, list[ScoreRow]]:
    """What the run is headed by, and its rows: the total; the official metrics, each in its categories; or the first
    judge that scored anything."""
    if groups and groups[0].judge.factor == "total":
        return "total", list(groups[0].rows)
    official = [group for group in groups if read_name(group.judge.name, run) is not None]
    rows = {row.category: row for group in official for row in group.rows if not row.pooled}
    if len(official) > 1 and len(rows) > 1:
        return "official metrics", list(rows.values())
    scored = [group for group in official or groups if any(row.cell.scored for row in group.rows)]
    return (scored[0].judge.factor.replace("_", " "), list(scored[0].rows)) if scored else ("", [])


def _came_to(run: RunData, headed: str, bars: Sequence[ScoreRow]) -> str:
    made, asked = len(run.samples) + run.left_out, sum(run.expected.values())
    number = f"{made:,}" if made == asked else f"{made:,} of {asked:,}"
    what = f"{run.info.setup.get('generator') or 'Pictures'} on {run.info.identity.get('suite') or 'a list'}"
    whole = next((row for row in bars if row.pooled), bars[0] if len(bars) == 1 else None)
    told = f"{what}: {number} sample{'s' if made != 1 else ''}"
    if whole is not None and whole.cell.mean is not None:
        told += f", {headed} {mean_and_half(whole.cell)} (n={whole.cell.scored:,})"
    single = [row for row in bars if not row.pooled and row.cell.mean is not None]
    if len(single) > 1:
        low, *_, high = sorted(single, key=lambda row: row.cell.mean or 0.0)
        told += f", best in {_named(high)}, worst in {_named(low)}"
    return f"{told}."


def _named(row: ScoreRow) -> str:
    return f"{row.category} ({svg.plain(row.cell.mean or 0.0)})"


def mean_and_half(cell: Summary) -> str:
    """A mean, and half of its interval over prompts."""
    if cell.mean is None:
        return "no score"
    half = "" if cell.low is None or cell.high is None else f" ± {svg.plain((cell.high - cell.low) / 2)}"
    return f"{svg.plain(cell.mean)}{half}"


def _beside_published(peers: Sequence[Peers]) -> list[str]:
    """Where the run's numbers rank among those that were published under one protocol."""
    found = []
    for group in peers:
        ranks = []
        for metric in group.comparable:
            own = group.own[metric]
            others = [row.values[metric] for row in group.rows if row.main and metric in row.values]
            if own is not None and others:
                place = 1 + sum(value > own for value in others)
                ranks.append(f"{metric} {group.show(own)} is number {place} of {len(others) + 1}")
        if ranks:
            found.append(f"Beside the rows published under {group.protocol}: {', '.join(ranks)}.")
    return found


def _wrong(run: RunData, table: Table) -> str:
    """Whether every number is of all the samples that it should be of."""
    if table.gaps:
        number = len(table.gaps)
        cells = f"{number} cells of the table have" if number > 1 else "one cell of the table has"
        return f"Incomplete: {cells} under {table.min_coverage:.0%} of its scores."
    lacking = max((cell.unscored + cell.missing for row in table.rows.values() for cell in row.values()), default=0)
    if lacking:
        return f"Up to {lacking:,} samples of a cell have no score, and are left out of its mean."
    if table.empty:
        return "No judge scored anything; the notes say why."
    return "" if run.left_out else f"Every judge scored every sample that it applies to{_applies(run, table)}."


def _applies(run: RunData, table: Table) -> str:
    """Which judges apply to some of the samples only."""
    row = table.rows.get(ALL) or next(iter(table.rows.values()), {})
    some = [
        f"{column.factor.replace('_', ' ')} to {row[column.name].scored:,} of {len(run.samples):,}"
        for column in run.judges
        if column.name in row and row[column.name].not_applicable
    ]
    return f" ({', '.join(some[:3])}{', ...' if some[3:] else ''})" if some else ""


def _strips(
    run: RunData, ranked: SampleRanks, rows: Mapping[str, Any], details: Mapping[int, Mapping[str, Any]]
) -> tuple[tuple[str, tuple[Glance, ...]], ...]:
    """The best and the worst of the samples whose pictures the page holds; just some where none has a rank."""
    places = {name: place for place, name in enumerate(run.samples)}
    held = [row for row in details if details[row]["picture"] is not None or details[row]["planned"]]
    ranks = np.array([ranked.overall[places[rows["id"][row]]] for row in held])
    sure = [(rank, row) for rank, row in zip(ranks, held, strict=True) if not np.isnan(rank)]
    column = next((at for at, one in enumerate(run.judges) if one.factor == "total"), None)

    def glance(row: int, rank: float | None) -> Glance:
        value = None if column is None else rows["scores"][column][row]
        told = (
            f"rank {rank:.2f}"
            if value is None and rank is not None
            else ""
            if value is None
            else svg.minus(f"{value:.3f}")
        )
        shown = details[row]
        return Glance(row, rows["prompt"][row], shown["picture"], bool(shown["sharp"]), told, shown["fault"])

    if not sure:
        found = tuple(glance(row, None) for row in held[: 2 * PICTURES])
        return (("Samples", found),) if found else ()
    number = min(PICTURES, (len(sure) + 1) // 2)
    order = sorted(sure, key=lambda pair: pair[0])
    worst, best = order[:number], order[::-1][: min(number, len(order) - number) or number]
    strips = {"Best": best, "Worst": worst if len(order) > 1 else []}
    return tuple((name, tuple(glance(row, rank) for rank, row in pairs)) for name, pairs in strips.items() if pairs)


def _chart(headed: str, rows: Sequence[ScoreRow]) -> Chart | None:
    """A bar a category with its interval over prompts, published scores as ticks."""
    shown = [row for row in rows if row.cell.mean is not None]
    single = [row for row in shown if row.category not in SUMS]
    bars = [*single[:BARS], *(row for row in shown if row.category in SUMS)]
    if not bars:
        return None
    ends = [end for row in bars for end in (row.cell.low, row.cell.high, row.cell.mean) if end is not None]
    ticks = [published.value for row in bars for published in row.published]
    scale = bar_axis((0.0, 1.0), [*ends, *ticks])
    axis = svg.Axis(scale.low, scale.high, _LABEL, _WIDTH - _VALUE)
    drawn = [_bar(axis, row, (place + 0.5) * _STEP) for place, row in enumerate(bars)]
    foot = len(bars) * _STEP
    for value in axis.ticks():
        drawn.insert(0, svg.tag("line", x1=axis(value), x2=axis(value), y1=2, y2=foot, class_="grid"))
        drawn.append(svg.text(axis(value), foot + 14, svg.tick_text(value), text_anchor="middle"))
    notes = ["mean, and 95 % interval over prompts"]
    if ticks:
        notes.append("ticks are published scores")
    if len(single) > BARS:
        notes.append(f"{BARS} of {len(single)} categories")
    words = "; ".join(f"{row.category} {svg.plain(row.cell.mean or 0.0)}" for row in bars)
    return Chart(headed, ", ".join(notes), svg.picture(_WIDTH, foot + 20, f"{headed}: {words}", *drawn))


def _bar(axis: svg.Axis, row: ScoreRow, middle: float) -> str:
    cell, mean = row.cell, row.cell.mean or 0.0
    left, right = sorted((axis(0.0), axis(mean)))
    name = row.category if len(row.category) <= 18 else f"{row.category[:17]}…"
    strong = "strong" if row.pooled else None
    parts = [
        svg.text(_LABEL - 8, middle + 4, name.replace("_", " "), text_anchor="end", class_=strong),
        svg.tag("rect", x=left, y=middle - 6, width=right - left, height=12, class_="bar"),
        svg.text(_WIDTH - _VALUE + 8, middle + 4, svg.plain(mean), class_="strong"),
    ]
    if cell.low is not None and cell.high is not None:
        parts.append(svg.whisker(axis, middle, cell.low, cell.high))
    for other in row.published:
        place = axis(other.value)
        title = svg.tag("title", escape(f"{other.label}: {other.value}"))
        tick = svg.tag("path", title, d=f"M{svg.short(place)} {svg.short(middle - 8)}v16", class_="tick")
        parts.append(tick)
    return "".join(parts)
