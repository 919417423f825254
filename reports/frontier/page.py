"""Frontiers as files: JSON, Markdown, and one HTML page with its plots that needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gotr1_eval.files.writing import make_out_folder, write_atomically
from reports import shell
from reports.agreement.grids import markdown
from reports.frontier.costs import CURRENCIES
from reports.frontier.frontier import Frontier
from reports.frontier.plot import plot
from reports.frontier.tables import frontier_grid, frontier_lines, without_model_line


def write_frontiers(found: Sequence[Frontier], notes: Sequence[str], folder: Path, command: str = "") -> Path:
    """Write frontier.json, .md and .html, and return where the page is.

    Raises:
        UsageError: the folder cannot be made.
    """
    make_out_folder(folder)
    content = {"frontiers": [one.json() for one in found], "notes": list(notes)}
    write_atomically(
        folder / "frontier.json", json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
    grids = [frontier_grid(one) for one in found]
    text = markdown(grids, [*frontier_lines(found), *notes], title="Agreement against cost")
    write_atomically(folder / "frontier.md", text)
    write_atomically(folder / "frontier.html", render_frontiers(found, notes, command))
    return folder / "frontier.html"


def render_frontiers(found: Sequence[Frontier], notes: Sequence[str], command: str = "") -> str:
    """The page's HTML; all text is escaped."""
    return shell.render(
        "frontier.html",
        styles=("frontier.css",),
        title="Agreement against cost",
        sections=[
            {
                "grid": frontier_grid(one),
                "free": without_model_line(one),
                "plots": [(CURRENCIES[currency], plot(one, currency)) for currency in one.currencies],
            }
            for one in found
        ],
        notes=notes,
        command=command,
    )
