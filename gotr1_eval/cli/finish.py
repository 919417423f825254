"""How commands end: a run's table is printed and holes are an error; documents are exported."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gotr1_eval.cli.run_table import show_table
from gotr1_eval.cli.terminal import err, out, print_json, side_by_side
from gotr1_eval.core.errors import RunError
from gotr1_eval.runs.costs import cost_of
from reports.published.peers import Peers

if TYPE_CHECKING:
    from reports.documents import Cell, Document, Grid
    from reports.run_report import Digest


_GAP = 2
_LABELS = 32
"""Most columns of the terminal that a table's labels take before they are folded."""
SHOWN = 20
"""Most kinds of trouble that are named in the terminal."""


def show_report(
    told: Digest, page: Path, *, as_json: bool, intervals: bool = False, quiet: bool = False, verbose: bool = False
) -> None:
    """Print what `reports.run_report.write_report` gives of a finished run.

    Args:
        intervals: the table has both intervals.
        quiet: the table alone.
        verbose: odd and unscored samples are named one by one, not counted by kind.

    Raises:
        RunError: a cell of the table has fewer scored samples than asked for, or no judge has scored anything
            and that was not allowed (`min_coverage` 0); everything is saved all the same.
    """
    from reports.diversity import diversity_json, run_diversity

    run, table = told.run, told.table
    show_table(
        table,
        as_json=as_json,
        intervals=intervals,
        diversity=diversity_json(run_diversity(run)) if as_json else None,
    )
    if not quiet:
        _show_beside(told, page, as_json=as_json, verbose=verbose)
    if table.gaps:
        raise RunError(
            f"{run.folder}: {len(table.gaps)} of the table's cells have under {table.min_coverage:.0%} of their "
            "samples scored (see the reasons in the report); the run is saved and marked incomplete"
        )
    if table.empty and table.min_coverage > 0:
        raise RunError(f"{run.folder}: nothing was scored (see the notes above and the report); the run is saved")


def _show_beside(told: Digest, page: Path, *, as_json: bool, verbose: bool) -> None:
    """Published rows, notes, what was not scored and why, and where the page is."""
    from reports.published.peers import ceiling_lines, peers_of

    run, table = told.run, told.table
    if not as_json:
        show_peers(peers_of(run, table))
    for line in [*run.remarks, *ceiling_lines(run)]:
        err.print(f"note: {line}", markup=False, soft_wrap=True)
    for word, lines in (("note", told.remarks), ("unscored", told.unscored)):
        named = lines.first if verbose else lines.grouped[:SHOWN]
        rest = lines.count - len(named) if verbose else len(lines.kinds) - len(named)
        for line in named:
            err.print(f"{word}: {line}", markup=False, soft_wrap=True)
        if rest:
            err.print(f"{word}: and {rest} more{'' if verbose else ' kinds'}; the scores say all", markup=False)
    if cost := str(cost_of(run.info)):
        err.print(f"cost: {cost}", markup=False, soft_wrap=True)
    err.print(f"report: {page}", markup=False, soft_wrap=True)


def show_peers(groups: Sequence[Peers]) -> None:
    """The run beside published rows; without a comparable number only the reasons (the report page has the rows)."""
    for group in groups:
        if group.comparable:
            out.print(f"\npublished under {group.protocol}", style="bold", markup=False)
            _show_rows(group)
            for remark in group.remarks:
                out.print(remark, style="dim", markup=False, soft_wrap=True)
    against = {metric: faults for group in groups for metric, faults in group.faults.items()}
    for metric, faults in against.items():
        if faults:
            line = f"* {metric}: not comparable with published numbers: {'; '.join(faults)}"
            out.print(line, style="dim", markup=False, soft_wrap=True)


def _show_rows(group: Peers) -> None:
    rows = [row for row in group.rows if row.main]
    sources = list(dict.fromkeys(row.source for row in rows))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("model")
    for metric in group.own:
        grid.add_column(Text(f"{metric}{'*' if group.faults[metric] else ''}"), justify="right")
    own = [Text("-" if value is None else group.show(value), style="bold") for value in group.own.values()]
    grid.add_row(Text("this run", style="bold"), *own)
    for row in rows:
        name = f"{row.model} [{sources.index(row.source) + 1}]{' †' if row.transcribed else ''}"
        values = [row.values.get(metric) for metric in group.own]
        grid.add_row(Text(name), *(Text("-" if value is None else group.show(value)) for value in values))
    out.print(grid)
    for number, source in enumerate(sources, start=1):
        out.print(f"[{number}] {source}", style="dim", markup=False, soft_wrap=True)
    if any(row.transcribed for row in rows):
        out.print("† transcribed by a third party", style="dim", markup=False)


def command_line() -> str:
    """What was typed, without the program's name."""
    return " ".join(map(shlex.quote, sys.argv[1:]))


def finish_document(document: Document, export: Sequence[Path], *, as_json: bool) -> None:
    """Write the document to each of the files, and show it on stdout as tables or as JSON."""
    from reports.documents import write_document

    for path in export:
        write_document(document, path)
        err.print(f"wrote {path}", markup=False, soft_wrap=True)
    if as_json:
        print_json(document.json)
        return
    for grid in document.grids:
        _show(grid)
    for note in document.notes:
        out.print(note, style="dim", markup=False, soft_wrap=True)


def _show(grid: Grid) -> None:
    """One table, or several below each other where the width holds no more columns; the first column is in each."""
    out.print(grid.title, style="bold", markup=False, soft_wrap=True)
    cells, widths = _laid_out(grid, broken=False)
    if sum(width + _GAP for width in widths) - _GAP > out.width:
        cells, widths = _laid_out(grid, broken=True)
    first = min(widths[0], _LABELS)
    for group in side_by_side(widths[1:], out.width - first, _GAP) or [[]]:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        table.add_column(Text(grid.columns[0]), overflow="fold", min_width=first)
        for place in group:
            table.add_column(Text(grid.columns[place + 1]), justify="right", overflow="fold")
        for row in cells:
            table.add_row(row[0], *(row[place + 1] for place in group))
        out.print(table)
    for note in grid.notes:
        out.print(note, style="dim", markup=False, soft_wrap=True)
    out.print()


def _laid_out(grid: Grid, *, broken: bool) -> tuple[list[list[Text]], list[int]]:
    """The cells, and how many characters each column takes.

    Args:
        broken: what stands behind an interval has a line of its own.
    """
    cells = [[_cell(cell, broken=broken) for cell in row] for row in grid.rows]
    widths = [max(map(len, name.split(" "))) for name in grid.columns]
    for row in cells:
        lines = ([len(line) for line in cell.plain.split("\n")] for cell in row)
        widths = [max(width, *of) for width, of in zip(widths, lines, strict=True)]
    return cells, widths


def _cell(cell: Cell, *, broken: bool) -> Text:
    text = Text(cell.text, style="bold" if cell.strong else "")
    detail = cell.detail.replace("] ", "]\n") if broken else cell.detail
    return text.append(f"\n{detail}", style="dim not bold") if detail else text
