"""Exported tables as a terminal shows them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gotr1_eval.cli.terminal import err, out

if TYPE_CHECKING:
    from reports.documents import Cell, Document, Grid


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
        out.print(json.dumps(document.json, indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
        return
    for grid in document.grids:
        _show(grid)
    for note in document.notes:
        out.print(note, style="dim", markup=False, soft_wrap=True)


def _show(grid: Grid) -> None:
    out.print(grid.title, style="bold", markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(grid.columns):
        table.add_column(Text(name), justify="right" if place else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*map(_cell, row))
    out.print(table)
    for note in grid.notes:
        out.print(note, style="dim", markup=False, soft_wrap=True)
    out.print()


def _cell(cell: Cell) -> Text:
    text = Text(cell.text, style="bold" if cell.strong else "")
    return text.append(f"\n{cell.detail}", style="dim not bold") if cell.detail else text
