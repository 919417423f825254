"""An agreement as files: JSON, Markdown, LaTeX, and one HTML page, with its plots, that needs no network."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gotr1_eval.core.errors import UsageError
from gotr1_eval.files.writing import write_atomically
from reports.agreement.analysis import ALL, Agreement, agreement_json
from reports.agreement.grids import latex, markdown
from reports.agreement.judge_agreement import JudgeRow
from reports.agreement.tables import grids

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PLOTS = 24
"""Judges and dimensions that are drawn; the tables hold all."""
MOST_POINTS = 2000
"""Points of a scatter plot; of more, this many are drawn, evenly through the file."""
MOST_BINS = 12
"""Cells of the confusion plot along each side; values are put together in bins of equal width beyond it."""
_INK, _ACCENT = "#012345", "#123456"
"""Stand-ins: the page's own colours take their places, so that plots follow its light or dark scheme."""


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
    from reports.agreement.page import confusion, scatter

    drawn = [row for row in agreement.judges if row.category == ALL and row.n]
    yield from (Plots(row, scatter(row), confusion(row)) for row in drawn[:MOST_PLOTS])


def scatter(row: JudgeRow) -> str:
    """Every unit's score over people's mark, shifted a little so that equal ones can be told apart."""
    judge, people = _columns(row)
    shown = (
        np.unique(np.linspace(0, len(judge) - 1, MOST_POINTS).astype(int)) if len(judge) > MOST_POINTS else slice(None)
    )
    figure, axes = _figure()
    generator = np.random.default_rng(0)
    x, y = (values[shown] + _jitter(values, generator)[shown] for values in (people, judge))
    axes.scatter(x, y, s=9, alpha=0.4, color=_ACCENT, linewidths=0)
    axes.set_xlabel("people")
    axes.set_ylabel("judge")
    return _svg(figure, f"scatter {row.judge} {row.dimension}")


def confusion(row: JudgeRow) -> str:
    """How many units people marked so while the judge scored them so."""
    judge, people = _columns(row)
    (rows, row_names), (columns, column_names) = _binned(judge), _binned(people)
    counts = np.zeros((len(row_names), len(column_names)))
    np.add.at(counts, (rows, columns), 1)
    figure, axes = _figure()
    axes.imshow(np.sqrt(counts), cmap="Blues", origin="lower", aspect="auto", vmin=0)
    axes.set_xticks(range(len(column_names)), column_names, rotation=45, ha="right")
    axes.set_yticks(range(len(row_names)), row_names)
    axes.set_xlabel("people")
    axes.set_ylabel("judge")
    _write_counts(axes, counts)
    return _svg(figure, f"confusion {row.judge} {row.dimension}")


def _columns(row: JudgeRow) -> tuple[np.ndarray, np.ndarray]:
    points = np.array([(judge, people) for judge, people, _ in row.points], dtype=float)
    return points[:, 0], points[:, 1]


def _jitter(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A fifth of the smallest step between two values; next to nothing for fine scales."""
    steps = np.diff(np.unique(values))
    width = 0.2 * float(steps.min()) if len(steps) else 0.0
    return generator.uniform(-width, width, len(values))


def _binned(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Each value's bin, and the bins' names: the values themselves where they are few."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= MOST_BINS:
        return places, [f"{value:.3g}" for value in distinct]
    edges = np.linspace(distinct[0], distinct[-1], MOST_BINS + 1)
    names = [f"{low:.2g} to {high:.2g}" for low, high in pairwise(edges)]
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, MOST_BINS - 1), names


def _write_counts(axes: Axes, counts: np.ndarray) -> None:
    for (y, x), count in np.ndenumerate(counts):
        if count:
            # On the dark half of the colour map white is read better.
            dark = np.sqrt(count) > 0.55 * np.sqrt(counts.max())
            axes.text(x, y, f"{count:.0f}", ha="center", va="center", fontsize=7, color="#fff" if dark else "#111")


def _figure() -> tuple[Figure, Axes]:
    # Imported here: matplotlib takes a second, and only pages need it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.tick_params(colors=_INK, labelsize=8)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    return figure, axes


def _svg(figure: Figure, salt: str) -> str:
    """The figure as one svg element; the salt keeps the names of its parts apart from other figures' in the page."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor").replace(_ACCENT, "var(--accent)")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
