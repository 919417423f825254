"""Rows of CSV and TSV text, as strict as can be: a row that does not fit its header is refused by its line.

A prompt with a comma and no quotes around it would otherwise be another prompt, and be judged as such.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain

from gotr1_eval.core.errors import DataError, one_line

_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_QUOTED = re.compile(r'"[^"]*"')
_STAND_IN = "\ue00d"
"""Stands for a carriage return inside a cell while `csv` reads, which takes it for the row's end."""
_LONGEST = 1 << 30
"""Characters of a cell; `csv` itself stops at 131,072, and chains with their boxes are longer."""


def delimited_rows(lines: Iterator[str], place: str, delimiter: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    """(line on which the row begins, cells by column); empty lines, and rows of empty cells, are passed over.

    Args:
        delimiter: None for whichever of comma, semicolon, tab and bar separates most cells of the header.

    Raises:
        DataError: a row has more or fewer cells than the header, its quotation marks do not fit, or a column stands
            there twice.
    """
    header_text = next((line for line in lines if line.strip()), "")
    line = 1
    if header_text.lower().startswith("sep=") and len(header_text.strip()) == 5:  # what Excel itself writes and reads
        delimiter, header_text, line = header_text[4], next(lines, ""), 2
    if not header_text:
        return
    delimiter = delimiter or _delimiter_of(header_text)
    spaced = _spaced(header_text, delimiter)
    raw: list[str] = []
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(
        _kept(chain([header_text], lines), raw), delimiter=delimiter, skipinitialspace=spaced, strict=True
    )
    before = line - 1
    header: list[str] = []
    try:
        for cells in reader:
            if not header:
                header = _header(cells, place, line)
            elif any(cells):
                _check(cells, header, "".join(raw), delimiter, spaced=spaced, place=place, line=line)
                yield line, {name: cell.replace(_STAND_IN, "\r") for name, cell in zip(header, cells, strict=True)}
            raw.clear()
            line = before + reader.line_num + 1
    except csv.Error as error:
        advice = "a quotation mark in a cell is written twice, and the cell in quotation marks"
        raise DataError(
            f"quotation marks that do not fit ({one_line(error)}); {advice}", path=place, line=line
        ) from None


def _kept(lines: Iterator[str], raw: list[str]) -> Iterator[str]:
    """The lines as `csv` can read them; `raw` holds those that were taken last."""
    for text in lines:
        line = text
        if "\r" in text[:-2]:
            body = text.removesuffix("\n").removesuffix("\r")
            line = body.replace("\r", _STAND_IN) + text[len(body) :]
        raw.append(line)
        yield line


def _delimiter_of(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max(_NAMES, key=bare.count)


def _spaced(header: str, delimiter: str) -> bool:
    """Whether the header has a blank behind every delimiter: cells are then taken without it."""
    bare = _QUOTED.sub('""', header)
    return delimiter != "\t" and 0 < bare.count(delimiter) == bare.count(f"{delimiter} ")


def _header(cells: list[str], place: str, line: int) -> list[str]:
    """The columns' names; one without (a table's row numbers, mostly) is called by its place."""
    names = [cell.strip() or f"column {number}" for number, cell in enumerate(cells, start=1)]
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"column {name!r} stands there twice; give one another name", path=place, line=line)
    return names


def _check(
    cells: list[str], header: list[str], raw: str, delimiter: str, *, spaced: bool, place: str, line: int
) -> None:
    """Raises DataError for a row that cannot be read as the header wants it."""
    name = _NAMES.get(delimiter, repr(delimiter))
    if len(cells) != len(header):
        advice = (
            f"put a cell that holds a {name} in double quotes"
            if len(cells) > len(header)
            else f"cells are separated by a {name}, also empty ones"
        )
        counts = f"expected {len(header)} cell{'s' * (len(header) != 1)}, got {len(cells)}"
        raise DataError(f"{counts} ({one_line(', '.join(header), 100)}); {advice}", path=place, line=line)
    if spaced or delimiter not in ",;":
        return
    # "a red apple, a green pear" without quotes fits the header where another cell of the row was left out.
    for column, cell in zip(header, cells, strict=True):
        if cell[:1] == " " and cell.strip() and not _is_number(cell) and f'"{cell[:40]}' not in raw:
            raise DataError(
                f"the cell under {column!r} begins with a blank, {one_line(cell, 60)!r}: put the text that holds the "
                f"{name} in double quotes, or remove the blank",
                path=place,
                line=line,
            )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
