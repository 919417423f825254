"""Rows of other people's tables: files found, wide rows made long, other tables joined, unwanted rows dropped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.tables import read_table, table_stem
from reports.agreement.foreign_tables.mapping import Join, TableMapping

KEY, ROW, FILE = "$key", "$row", "$file"
"""Columns that every row has besides its own: key in a JSON object, number from 0 in its file, the file's name."""
COLUMN, CELL = "$column", "$cell"
"""What a cell's column and content are called once a wide row is made long (see `TableMapping.keep`)."""
PLACE = "$place"
"""Number from 0 of a row's place in the lists of a wide one, or among the matches of a text."""
_PIECE = re.compile(r"\{([A-Za-z_]\w*)\}")


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
    """Every row of a table; see `gotr1_eval.files.tables.read_table`.

    Raises:
        DataError: the file cannot be read, is of an unknown kind, or a row of it is damaged.
    """
    stem = table_stem(str(path))
    try:
        for number, row in enumerate(read_table(str(path))):
            key = {} if row.key is None else {KEY: row.key}
            yield Row({**row.cells, **key, ROW: number, FILE: stem}, path, row.line)
    except UsageError as error:
        raise DataError(str(error).removeprefix(f"{path}: "), path=path) from None


def table_rows(files: Sequence[Path], mapping: TableMapping, folder: Path) -> list[Row]:
    """All rows of some tables of one shape.

    Args:
        files: in place of those that the mapping names.
        folder: what the mapping's own paths are relative to.

    Raises:
        DataError: a file cannot be read, or a row has no partner in a joined table.
        UsageError: there is no file to read.
    """
    named: list[tuple[Path, dict[str, str]]] = [(path, {}) for path in files] or _named_files(mapping, folder)
    rows = [
        replace(row, cells=row.cells | pieces)
        for path, pieces in named
        for row in (_read_whole(path, mapping) if mapping.whole or mapping.matches else read_file(path))
    ]
    if mapping.lists:
        rows = [one for row in rows for one in _places(row, mapping.lists)]
    if mapping.keep:
        rows = [long for row in rows for long in _long_rows(row, set(mapping.keep))]
    for name, join in mapping.join.items():
        rows = _joined(rows, name, join, folder)
    return rows


def wanted(row: Row, mapping: TableMapping) -> bool:
    """Whether the mapping's `where` keeps the row."""
    for column, allowed in mapping.where.items():
        words = {str(one) for one in (allowed if isinstance(allowed, tuple) else (allowed,))}
        if str(row.cell(column)) not in words:
            return False
    return True


def _named_files(mapping: TableMapping, folder: Path) -> list[tuple[Path, dict[str, str]]]:
    """(file, pieces of its path by name) of everything that the mapping's patterns fit."""
    if not mapping.files:
        raise UsageError("no table to read: name a file, or `files` in the mapping")
    found = []
    for pattern in mapping.files:
        plain = _PIECE.sub("*", pattern)
        there = sorted(folder.glob(plain)) if not Path(plain).is_absolute() else [Path(plain)]
        if not there:
            raise UsageError(f"the mapping names {pattern!r}, and there is no such file under {folder} (see --data)")
        form = _form(pattern)
        found += [(path, match.groupdict()) for path in there if (match := form.search(path.as_posix())) is not None]
    return found


def _form(pattern: str) -> re.Pattern[str]:
    """What the end of a path looks like that a pattern fits; a piece that it names again must be the same."""
    parts, seen = [], set()
    for at, part in enumerate(_PIECE.split(pattern)):
        if at % 2:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+)")
            seen.add(part)
        else:
            parts.append(re.escape(part).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))
    return re.compile(f"(?:^|/){''.join(parts)}$")


def _read_whole(path: Path, mapping: TableMapping) -> Iterator[Row]:
    """The row that a JSON file holds, or the matches of a text; a text without a match is a row that says nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        form = None if mapping.matches is None else re.compile(mapping.matches)
        value = json.loads(text) if form is None else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read: {one_line(error)}", path=path) from None
    except re.error as error:
        raise UsageError(f"matches = {mapping.matches!r}: not a regular expression ({error})") from None
    if form is not None:
        nothing: dict[str, Any] = dict.fromkeys(form.groupindex)
        for place, cells in enumerate([match.groupdict() for match in form.finditer(text)] or [nothing]):
            yield Row({**cells, PLACE: place, ROW: place, FILE: path.stem}, path, place + 1)
        return
    if not isinstance(value, dict):
        raise DataError(f"expected one JSON object (`whole`), got {type(value).__name__}", path=path)
    yield Row({**value, ROW: 0, FILE: path.stem}, path, 1)


def _places(row: Row, columns: Sequence[str]) -> list[Row]:
    """A row for each place of its lists; where one of them is shorter its cell is empty."""
    lists = {column: row.cell(column) for column in columns}
    for column, cell in lists.items():
        if not isinstance(cell, list):
            raise row.fault(f"expected a list under {column!r}, got {one_line(cell)}")
    return [
        replace(row, cells={**row.cells, **dict(zip(columns, cells, strict=True)), PLACE: place})
        for place, cells in enumerate(zip_longest(*lists.values()))
    ]


def _long_rows(row: Row, kept: set[str]) -> list[Row]:
    own = {name: row.cell(name) for name in kept} | {FILE: row.cells[FILE]}
    cells = [(name, cell) for name, cell in row.cells.items() if name not in kept and not name.startswith("$")]
    return [replace(row, cells={**own, COLUMN: name, CELL: cell}) for name, cell in cells]


def _joined(rows: Sequence[Row], name: str, join: Join, folder: Path) -> list[Row]:
    there = {str(other.cell(join.on)): other for other in read_file(folder / join.file)}
    columns = {column for other in there.values() for column in other.cells}
    found = []
    for row in rows:
        key = str(row.cell(join.column))
        if key not in there:
            raise row.fault(f"{join.column} {key!r} is not in {join.file}")
        cells = {f"{name}.{column}": there[key].cells.get(column) for column in columns}
        found.append(replace(row, cells=row.cells | cells))
    return found
