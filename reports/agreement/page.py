"""An agreement as files: JSON, Markdown, LaTeX, and one HTML page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.files.writing import write_atomically
from reports.agreement.analysis import ALL, Agreement
from reports.agreement.as_json import agreement_json
from reports.agreement.grids import grids
from reports.agreement.judged import JudgeRow
from reports.agreement.texts import latex, markdown

MOST_PLOTS = 24
"""Judges and dimensions that are drawn; the tables hold all."""


@dataclass(frozen=True, slots=True)
class Plots:
    """The two plots of a judge and dimension."""

    row: JudgeRow
    scatter: str
    confusion: str


def write_agreement(agreement: Agreement, folder: Path) -> Path:
    """Write agreement.json, .md, .tex and .html, and return where the page is.

    Raises:
        UsageError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot make the folder: {error.strerror}") from None
    tables = grids(agreement)
    content = json.dumps(agreement_json(agreement), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "agreement.json", content + "\n")
    write_atomically(folder / "agreement.md", markdown(tables, [*agreement.notes, *agreement.left_out]))
    write_atomically(folder / "agreement.tex", latex(tables))
    write_atomically(folder / "agreement.html", render_agreement(agreement))
    return folder / "agreement.html"


def render_agreement(agreement: Agreement) -> str:
    """The page's HTML; all text is escaped, and the page may load nothing."""
    # Imported here: jinja2 is needed for pages alone.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    drawn = [row for row in agreement.judges if row.category == ALL and row.n]
    return environment.get_template("agreement.html").render(
        grids=grids(agreement),
        plots=list(_plots(agreement)),
        undrawn=max(len(drawn) - MOST_PLOTS, 0),
        notes=agreement.notes,
        left_out=agreement.left_out,
        options=agreement.options,
    )


def _plots(agreement: Agreement) -> Iterator[Plots]:
    from reports.agreement.plots import confusion, scatter

    drawn = [row for row in agreement.judges if row.category == ALL and row.n]
    yield from (Plots(row, scatter(row), confusion(row)) for row in drawn[:MOST_PLOTS])
