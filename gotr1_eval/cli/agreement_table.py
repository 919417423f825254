"""An agreement as a terminal shows it."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gotr1_eval.cli.terminal import err, out
from reports.agreement.analysis import Agreement, Options, agreement_json, analyse
from reports.agreement.mark_sources import read_run
from reports.agreement.marks import Marks
from reports.agreement.tables import Cell, Grid, grids, retest_grid

WIDE = 160
"""Columns of a table that goes to a file or a pipe."""
MOST_LINES = 20
"""Marks left out that are named one by one; --json and --out name all."""


def show_agreement(agreement: Agreement, *, as_json: bool) -> None:
    """The tables on stdout, and below them what was counted and left out."""
    if as_json:
        text = json.dumps(agreement_json(agreement), indent=2, ensure_ascii=False, allow_nan=False)
        out.print(text, markup=False, soft_wrap=True)
        return
    for grid in grids(agreement):
        _show(grid)
    for note in agreement.notes:
        out.print(note, style="dim", markup=False, soft_wrap=True)
    for line in agreement.left_out[:MOST_LINES]:
        err.print(f"left out: {line}", markup=False, soft_wrap=True)
    if len(agreement.left_out) > MOST_LINES:
        err.print(f"left out: {len(agreement.left_out) - MOST_LINES} more (--json names all)", markup=False)


def show_retest(run: Path) -> None:
    """How far the judges of a run agree with themselves."""
    found = analyse(Marks(), read_run(run), Options())
    _show(retest_grid(found.retest))


def _show(grid: Grid) -> None:
    wide = out if out.is_terminal else Console(highlight=False, width=WIDE)
    for text, style in ((grid.title, "bold"), (grid.lead, "dim")):
        out.print(text, style=style, markup=False, soft_wrap=True)
    wide.print(_table(grid))
    out.print()


def _table(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(grid.header):
        table.add_column(Text(name), justify="left" if place < grid.names else "right", overflow="fold")
    for row in grid.rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(cell: Cell) -> Text:
    text = Text(cell.text)
    for line in cell.small:
        text.append(f"\n{line}", style="dim")
    return text
