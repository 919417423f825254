"""Figures of a run for notebooks and papers; every function returns a matplotlib figure and draws nothing on screen.

They are made without pyplot, so that nothing has to be closed and no window opens. The pages draw their own plots: the
run's in `run_page.plots`, a training's curves in `run_page.training`, both by `svg`, and the agreement's in its `page`.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.dataframes import RunFrames, load_run

_COLOURS = ("#2c56c4", "#b3531a", "#1c7c54", "#8c3fa8", "#9a7500", "#a8324e")


Run = RunFrames | Path | str
"""A run as `load_run` gives it, or its folder."""


def _frames(run: Run) -> RunFrames:
    return run if isinstance(run, RunFrames) else load_run(run)


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, whatever backend is set."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def plot_scores(run: Run) -> Figure:
    """The mean of every factor by category, with its 95 % interval over prompts and the number of scored samples."""
    run = _frames(run)
    table = run.summary
    factors = list(dict.fromkeys(table["factor"]))
    figure, panels = _panels(len(factors), height=0.34 * table["category"].nunique() + 1.1)
    for factor, axes, colour in zip(factors, panels, _repeated(len(factors)), strict=True):
        rows = table[(table["factor"] == factor) & (table["scored"] > 0)][::-1]
        places = np.arange(len(rows))
        axes.barh(places, rows["mean"], color=colour, alpha=0.35, height=0.6)
        for place, low, high in zip(places, rows["low"], rows["high"], strict=True):
            axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        named = zip(rows["category"], rows["scored"], strict=True)
        axes.set_yticks(places, [f"{category} (n={scored})" for category, scored in named])
        axes.set_title(_words(factor), fontsize=10)
    return figure


def plot_distributions(run: Run, bins: int = 20) -> Figure:
    """How the scores of every factor are spread; the line is the mean."""
    run = _frames(run)
    values = run.values
    figure, panels = _panels(len(values.columns), height=2.2)
    for factor, axes, colour in zip(values.columns, panels, _repeated(len(values.columns)), strict=True):
        scored = values[factor].dropna()
        axes.hist(scored, bins=bins, color=colour, alpha=0.6)
        if len(scored):
            axes.axvline(scored.mean(), color=colour)
        axes.set_title(f"{_words(factor)} (n={len(scored)})", fontsize=10)
        axes.set_ylabel("samples")
    return figure


def plot_factors(run: Run) -> Figure:
    """Spearman correlations between the factors, over the samples that both score; blank where none is defined."""
    run = _frames(run)
    table = run.values.corr(method="spearman", min_periods=2)
    figure, (axes,) = _panels(1, height=0.55 * len(table) + 1.6)
    image = axes.imshow(table.to_numpy(), cmap="RdBu", vmin=-1, vmax=1)
    names = [_words(name) for name in table.columns]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    for (row, column), number in np.ndenumerate(table.to_numpy(dtype=float)):
        if not np.isnan(number):
            shade = "white" if abs(number) > 0.6 else "black"
            axes.text(column, row, f"{number:.2f}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_title("Spearman correlations", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def plot_against_plan(run: Run, trait: str = "chain words") -> Figure:
    """Every factor against what the plan is like: ``chain words``, ``planned objects`` or ``planned area``."""
    run = _frames(run)
    values = run.values
    figure, panels = _panels(len(values.columns), height=2.4)
    for factor, axes, colour in zip(values.columns, panels, _repeated(len(values.columns)), strict=True):
        shown = values[factor].notna() & run.samples[trait].notna()
        axes.scatter(run.samples[trait][shown], values[factor][shown], s=12, alpha=0.4, color=colour, linewidths=0)
        axes.set_title(f"{_words(factor)} (n={int(shown.sum())})", fontsize=10)
        axes.set_xlabel(trait)
    return figure


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, three a row."""
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = NotebookFigure(figsize=(3.6 * columns + 1, height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[:count]:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels[:count]


def _repeated(count: int) -> list[str]:
    return [_COLOURS[place % len(_COLOURS)] for place in range(count)]


def _words(factor: str) -> str:
    return factor.replace("_", " ")
