"""Tables of text: cells, a number with its interval, and how Markdown and LaTeX set them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gotr1_eval.core.statistics.intervals import Estimate
from reports.agreement.foreign_tables.mapping import ANY

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it says, and below it in small, line by line, what that stands on."""

    text: str
    small: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        lead: one sentence that says how to read it.
        names: how many columns, from the left, hold names and not numbers.
    """

    title: str
    lead: str
    names: int
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def estimate_cell(one: Estimate, *more: str) -> Cell:
    """A number with its interval, or that it is undefined and why."""
    if one.value is None:
        return Cell("undefined", (one.why,))
    interval = "" if one.low is None or one.high is None else f"[{one.low:.3f}, {one.high:.3f}]"
    return Cell(f"{one.value:.3f}", tuple(filter(None, (interval, *more))))


def dimension_cell(name: str) -> Cell:
    """A dimension's name."""
    return Cell("any" if name == ANY else name)


def markdown(grids: Sequence[Grid], notes: Sequence[str], title: str = "Agreement") -> str:
    """All tables with their titles, and the notes as a list."""
    parts = [f"## {grid.title}\n\n{grid.lead}\n\n{_markdown_table(grid)}" for grid in grids]
    if notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {_markdown_text(note)}" for note in notes))
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def latex(grids: Sequence[Grid]) -> str:
    """A table each, for the package booktabs; intervals stand beside their numbers in small print."""
    return "\n\n".join(_latex_table(grid) for grid in grids) + "\n"


def _markdown_table(grid: Grid) -> str:
    rules = ["---"] * grid.names + ["---:"] * (len(grid.header) - grid.names)
    lines = [list(map(_markdown_text, grid.header)), rules]
    lines += [[_markdown_cell(cell) for cell in row] for row in grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    small = f" ({_markdown_text('; '.join(cell.small))})" if cell.small else ""
    return f"{_markdown_text(cell.text)}{small}"


def _markdown_text(text: str) -> str:
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}<>|])", r"\\\1", flat)


def _latex_table(grid: Grid) -> str:
    columns = "l" * grid.names + "r" * (len(grid.header) - grid.names)
    rows = [" & ".join(map(_latex_text, grid.header)), *(" & ".join(map(_latex_cell, row)) for row in grid.rows)]
    head, *body = (f"    {row} \\\\" for row in rows)
    return "\n".join(
        (
            r"\begin{table}",
            f"  \\caption{{{_latex_text(grid.title)}. {_latex_text(grid.lead)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            head,
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        )
    )


def _latex_cell(cell: Cell) -> str:
    small = f" {{\\scriptsize {_latex_text('; '.join(cell.small))}}}" if cell.small else ""
    return f"{_latex_text(cell.text)}{small}"


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
