"""Rows of other people's files: CSV, TSV, JSONL, JSON and Parquet, each row with the place where it stands."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.parquet import read_parquet

KINDS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
KEY, ROW, FILE = "$key", "$row", "$file"
"""Columns that every row has besides its own: key in a JSON object, number from 0 in its file, the file's name."""


_LONE_RETURN, _STAND_IN = re.compile(r"\r(?!\n)"), "\ue00d"


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells by column, and its place for messages."""

    cells: dict[str, Any]
    path: Path
    line: int

    def fault(self, message: str) -> DataError:
        """An error that names the row."""
        return DataError(message, path=self.path, line=self.line)

    def cell(self, column: str) -> Any:  # noqa: ANN401 (a cell of a foreign file is anything)
        """What stands under a column.

        Raises:
            DataError: there is no such column.
        """
        if column not in self.cells:
            own = ", ".join(name for name in self.cells if not name.startswith("$"))
            raise self.fault(f"no column {column!r} (there are: {one_line(own)}); name it in a --mapping")
        return self.cells[column]


def read_file(path: Path) -> Iterator[Row]:
    """Every row of a table; ``.gz`` may follow the ending of a text file.

    A CSV's line is the one on which its row begins, a JSON file's the number of the row, a Parquet file's likewise.

    Raises:
        DataError: the file cannot be read, is of an unknown kind, or a row of it is damaged.
    """
    kind = _kind(path)
    try:
        rows = _parquet_rows(path) if kind == ".parquet" else _text_rows(path, kind)
        for number, (line, cells) in enumerate(rows):
            yield Row({**cells, ROW: number, FILE: _stem(path)}, path, line)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or one_line(error)}", path=path) from None
    except UnicodeDecodeError:
        raise DataError("not a text in UTF-8", path=path) from None


def _kind(path: Path) -> str:
    names = [name.lower() for name in path.suffixes]
    kind = names[-2] if names[-1:] == [".gz"] and len(names) > 1 else (names[-1] if names else "")
    if kind not in KINDS:
        raise DataError(f"expected a table ({', '.join(KINDS)}), got {path.name!r}", path=path)
    return kind


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name[: name.rfind(".")]


def _text_rows(path: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw).decode("utf-8-sig")
    if kind == ".json":
        return _json_rows(text, path)
    return _jsonl_rows(text, path) if kind == ".jsonl" else _csv_rows(text, path, "\t" if kind == ".tsv" else ",")


def _csv_rows(text: str, path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Where lines end with a line feed, a carriage return of its own belongs to its field, quoted or not.
    lone = "\n" in text and _LONE_RETURN.search(text) is not None
    text = _LONE_RETURN.sub(_STAND_IN, text) if lone else text
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    header: list[str] = []
    try:
        for cells in reader:
            if not header:
                header = _header(cells, path)
            elif cells:
                if len(cells) != len(header):
                    raise DataError(f"expected {len(header)} cells, got {len(cells)}", path=path, line=line)
                restored = [cell.replace(_STAND_IN, "\r") for cell in cells] if lone else cells
                yield line, dict(zip(header, restored, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"not a table: {one_line(error)}", path=path, line=reader.line_num) from None


def _header(cells: list[str], path: Path) -> list[str]:
    if len(set(cells)) < len(cells):
        twice = next(name for name in cells if cells.count(name) > 1)
        raise DataError(f"column {twice!r} stands there twice", path=path, line=1)
    return cells


def _jsonl_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _as_cells(_json(line, path, number), path, number)


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a list, or of an object whose keys name them."""
    whole = _json(text, path, None)
    pairs = enumerate(whole) if isinstance(whole, list) else whole.items() if isinstance(whole, dict) else None
    if pairs is None:
        raise DataError(f"expected a list or an object of rows, got {type(whole).__name__}", path=path)
    for number, (key, row) in enumerate(pairs, start=1):
        yield number, {**_as_cells(row, path, number), KEY: key}


def _json(text: str, path: Path, line: int | None) -> Any:  # noqa: ANN401 (any JSON value)
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"not JSON ({error})", path=path, line=line) from None


def _as_cells(row: object, path: Path, line: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"expected a row with named cells, got {type(row).__name__}", path=path, line=line)
    return row


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        frame = read_parquet(path)
    except ValueError as error:
        raise DataError(f"not a Parquet file: {one_line(error)}", path=path) from None
    for number, row in enumerate(frame.to_dict("records"), start=1):
        yield number, {str(name): _plain(cell) for name, cell in row.items()}


def _plain(cell: object) -> object:
    """A cell as JSON would hold it; Parquet's missing number arrives as NaN."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    return None if isinstance(cell, float) and math.isnan(cell) else cell
