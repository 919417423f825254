"""Tables as files: Markdown, LaTeX (booktabs), CSV and JSON, each with what it takes to reproduce them.

The first two are for people: rounded means, their details, notes, and a footer. CSV and JSON are for programs: every
number in full. A row of CSV holds its origin in columns of its own, since a footer would break the file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json
from gotr1_eval.files.writing import write_atomically

Record = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what is read first, what stands below or behind it in small, and whether it leads its column."""

    text: str
    detail: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """One table for people. The first column names the rows; `notes` belong below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """What a command found, ready for any of the forms.

    Attributes:
        notes: how to read all of its tables.
        footer: lines of reproduction: commands, versions, hashes.
        records: one a number, all with the same keys, for CSV.
        json: everything, for JSON.
    """

    title: str
    grids: tuple[Grid, ...]
    notes: tuple[str, ...]
    footer: tuple[str, ...]
    records: tuple[Record, ...]
    json: Json


OWN_FILES = {"run.json", "training.json", "study.json", "scores.csv"}
"""Files that runs and studies are made of, under endings that documents have, too."""


def check_endings(paths: Sequence[Path], others: Sequence[str] = ()) -> None:
    """Refuse files that nothing can be written to, before any work is done.

    Raises:
        UsageError: an ending that is neither a form of this module nor among `others`.
    """
    known = [*_FORMS, *others]
    for path in paths:
        if path.suffix not in known:
            raise UsageError(f"--export {path}: expected a file ending in {', '.join(known)}")
        if path.name in OWN_FILES:
            raise UsageError(f"--export {path}: runs and studies have a file of this name; choose another")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"--export {path}: there is no folder {path.parent}")


def write_document(document: Document, path: Path) -> None:
    """Write the document in the form that the file's ending names."""
    check_endings([path])
    write_atomically(path, _FORMS[path.suffix](document))


def markdown(document: Document) -> str:
    """The tables in Markdown; any text in them stays text."""
    parts = [f"# {markdown_text(document.title)}"]
    for grid in document.grids:
        rows = [[_markdown_cell(cell) for cell in row] for row in grid.rows]
        header = [markdown_text(name) for name in grid.columns]
        aligned = ["---", *["---:"] * (len(header) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (header, aligned, *rows)]
        parts += [f"## {markdown_text(grid.title)}", "\n".join(lines)]
        parts += map(markdown_text, grid.notes)
    parts += map(markdown_text, document.notes)
    parts.append("\n".join(f"- {markdown_text(line)}" for line in document.footer))
    return "\n\n".join(parts) + "\n"


def _markdown_cell(cell: Cell) -> str:
    text = f"**{markdown_text(cell.text)}**" if cell.strong else markdown_text(cell.text)
    return f"{text} {markdown_text(cell.detail)}" if cell.detail else text


def markdown_text(text: str) -> str:
    """The text on one line, with everything escaped that Markdown, or HTML in it, would read as more than text."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", flat)


def latex(document: Document) -> str:
    """The tables in LaTeX; the document needs the package booktabs."""
    parts = [f"% {_comment(document.title)}"]
    for grid in document.grids:
        rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in grid.rows]
        parts += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(' '.join([grid.title + '.', *grid.notes, *document.notes]))}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(grid.columns) - 1)}}}",
            r"\toprule",
            " & ".join(map(latex_text, grid.columns)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    return "\n".join([*parts, *(f"% {_comment(line)}" for line in document.footer)]) + "\n"


def _latex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{latex_text(cell.text)}}}" if cell.strong else latex_text(cell.text)
    return rf"{text} {{\scriptsize {latex_text(cell.detail)}}}" if cell.detail else text


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def latex_text(text: str) -> str:
    """The text on one line with LaTeX's own signs escaped; brackets are grouped, or a line break would take them."""
    flat = " ".join(text.split())
    return "".join(_LATEX.get(sign, f"{{{sign}}}" if sign in "[]" else sign) for sign in flat)


def _comment(text: str) -> str:
    return " ".join(text.split())


def csv_text(document: Document) -> str:
    """The records with a header line. Text that a spreadsheet would run as a formula begins with an apostrophe."""
    out = io.StringIO()
    names = list(document.records[0]) if document.records else []
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for record in document.records:
        writer.writerow({name: _plain_cell(value) for name, value in record.items()})
    return out.getvalue()


def _plain_cell(value: Json) -> Json:
    risky = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if risky else value


def json_text(document: Document) -> str:
    """Everything as strict JSON."""
    content = {"title": document.title, "content": document.json, "reproduction": list(document.footer)}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_FORMS: dict[str, Callable[[Document], str]] = {
    ".md": markdown,
    ".tex": latex,
    ".csv": csv_text,
    ".json": json_text,
}
