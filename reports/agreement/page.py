"""An agreement as files: JSON, Markdown, LaTeX, and one HTML page, with its plots, that needs no network."""

from __future__ import annotations

import json
from pathlib import Path

from gotr1_eval.files.writing import make_out_folder, write_atomically
from reports.agreement.analysis import ALL, Agreement, agreement_json
from reports.agreement.grids import latex, markdown
from reports.agreement.plots import Plots, confusion, scatter
from reports.agreement.tables import grids
from reports.shell import render

MOST_PLOTS = 24
"""Judges and dimensions that are drawn; the tables hold all."""


def write_agreement(agreement: Agreement, folder: Path) -> Path:
    """Write agreement.json, .md, .tex and .html, and return where the page is.

    Raises:
        UsageError: the folder cannot be made.
    """
    make_out_folder(folder)
    tables = grids(agreement)
    content = json.dumps(agreement_json(agreement), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "agreement.json", content + "\n")
    write_atomically(folder / "agreement.md", markdown(tables, [*agreement.notes, *agreement.left_out]))
    write_atomically(folder / "agreement.tex", latex(tables))
    write_atomically(folder / "agreement.html", render_agreement(agreement))
    return folder / "agreement.html"


def render_agreement(agreement: Agreement) -> str:
    """The page's HTML; all text is escaped, and the page may load nothing."""
    drawn = [row for row in agreement.judges if row.category == ALL and row.n]
    return render(
        "agreement.html",
        styles=("run.css", "agreement.css"),
        title="Agreement",
        grids=grids(agreement),
        plots=[Plots(row, scatter(row), confusion(row)) for row in drawn[:MOST_PLOTS]],
        undrawn=max(len(drawn) - MOST_PLOTS, 0),
        notes=agreement.notes,
        left_out=agreement.left_out,
        options=agreement.options,
    )
