"""A run's summary table in the terminal: one line a category, as many judges side by side as the width holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table as Grid
from rich.text import Text

from gotr1_eval.cli.terminal import out, print_json, side_by_side
from gotr1_eval.core.statistics.summary import Summary
from gotr1_eval.core.types import Json
from reports.run_data import JudgeColumn
from reports.run_summary import Table, table_json

_GAP = 2
_HALF = "±: half of the 95 % interval over prompts, other ones of the kind; --intervals shows both ends, and over seeds"
_BOTH = "95 % intervals: prompts (other prompts of the kind, bootstrap), seeds (other pictures of these very prompts)"
_TROUBLE = "!: samples that should have been scored and were not"


def show_table(
    table: Table, *, as_json: bool, intervals: bool = False, diversity: Mapping[str, Json] | None = None
) -> None:
    """The summary table on stdout.

    Args:
        diversity: of the samples of a prompt, which stands beside the table in JSON.
        intervals: a table a judge, with both intervals, instead of all judges in one.
    """
    if as_json:
        content = table_json(table) | ({"diversity": {**diversity}} if diversity else {})
        print_json(content)
        return
    if intervals:
        _show_intervals(table)
    else:
        _show_means(table)
    for column in table.judges:
        if column.name != column.factor:
            out.print(f"{_words(column.factor)}: {column.name}", style="dim", markup=False, soft_wrap=True)
    for gap in table.gaps:
        out.print(f"incomplete: {gap} (needed {table.min_coverage:.0%})", markup=False)


def _words(factor: str) -> str:
    return factor.replace("_", " ")


def _due(row: Sequence[Summary]) -> int:
    """How many samples the row is about: the same for every judge."""
    return max(sum((one.scored, one.unscored, one.not_applicable, one.missing)) for one in row)


def _show_means(table: Table) -> None:
    cells = [cell for row in table.rows.values() for cell in row.values()]
    for block in _blocks(table):
        grid = Grid(title=None, box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        grid.add_column("category", overflow="fold")
        grid.add_column("n", justify="right", no_wrap=True)
        for column in block:
            grid.add_column(Text(_words(column.factor)), justify="right", overflow="fold")
        for category, row in table.rows.items():
            due = _due([*row.values()])
            grid.add_row(Text(category), Text(str(due), style="dim"), *(_cell(row[one.name], due) for one in block))
        out.print(grid)
    if any(cell.low is not None for cell in cells):
        out.print(_HALF, style="dim", markup=False, soft_wrap=True)
    if any(cell.unscored or cell.missing for cell in cells):
        out.print(_TROUBLE, style="dim", markup=False, soft_wrap=True)


def _blocks(table: Table) -> Iterator[Sequence[JudgeColumn]]:
    """The judges in as few tables as the terminal's width allows."""
    fixed = max(map(len, ["category", *table.rows])) + _GAP + max(len(str(_due([*r.values()]))) for r in _rows(table))
    widths = [_width(column, table) for column in table.judges]
    for group in side_by_side(widths, out.width - fixed, _GAP):
        yield [table.judges[place] for place in group]


def _rows(table: Table) -> Sequence[dict[str, Summary]]:
    return [dict(row) for row in table.rows.values()] or [{}]


def _width(column: JudgeColumn, table: Table) -> int:
    """Of its cells, and of the longest word of its name."""
    lines = [len(line) for r in _rows(table) for line in _cell(r[column.name], _due([*r.values()])).plain.split("\n")]
    return max([*lines, *map(len, _words(column.factor).split())])


def _cell(summary: Summary, due: int) -> Text:
    """Mean and half width, and below them the count where it is not the row's."""
    if summary.mean is None:
        text = Text("n/a" if summary.not_applicable == due else "-", style="dim")
    else:
        text = Text(f"{summary.mean:.3f}")
        if summary.low is not None and summary.high is not None:
            half = f"{(summary.high - summary.low) / 2:.3f}"
            text.append(f" ±{half.removeprefix('0')}", style="dim")
    if summary.unscored or summary.missing:
        text.append(" !", style="bold red")
    if due not in {summary.scored, summary.not_applicable}:
        text.append(f"\nn={summary.scored}", style="dim")
    return text


def _show_intervals(table: Table) -> None:
    for column in table.judges:
        grid = Grid(title=None, box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        grid.add_column(Text(_words(column.factor)), overflow="fold")
        for name in ("mean", "prompts", "seeds", "n"):
            grid.add_column(name, justify="right", no_wrap=True)
        grid.add_column("without a score", overflow="fold")
        for category, row in table.rows.items():
            cell = row[column.name]
            mean = "-" if cell.mean is None else f"{cell.mean:.3f}"
            spans = [_span(cell.low, cell.high), _span(cell.seeds_low, cell.seeds_high)]
            named = {"unscored": cell.unscored, "n/a": cell.not_applicable, "missing": cell.missing}
            lacking = ", ".join(f"{name} {count}" for name, count in named.items() if count)
            grid.add_row(Text(category), mean, *spans, str(cell.scored), Text(lacking, style="dim"))
        out.print(grid)
        out.print()
    out.print(_BOTH, style="dim", markup=False, soft_wrap=True)


def _span(low: float | None, high: float | None) -> Text:
    return Text("-" if low is None or high is None else f"{low:.3f} to {high:.3f}", style="dim")
