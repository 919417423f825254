"""Rows of other people's tables: files found, wide rows made long, other tables joined, unwanted rows dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.tables import read_table, table_stem
from reports.agreement.table_mapping import Join, TableMapping

KEY, ROW, FILE = "$key", "$row", "$file"
"""Columns that every row has besides its own: key in a JSON object, number from 0 in its file, the file's name."""
COLUMN, CELL = "$column", "$cell"
"""What a cell's column and content are called once a wide row is made long (see `TableMapping.keep`)."""


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
    rows = [row for path in files or _named_files(mapping, folder) for row in read_file(path)]
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


def _named_files(mapping: TableMapping, folder: Path) -> list[Path]:
    if not mapping.files:
        raise UsageError("no table to read: name a file, or `files` in the mapping")
    found = []
    for pattern in mapping.files:
        there = sorted(folder.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
        if not there:
            raise UsageError(f"the mapping names {pattern!r}, and there is no such file under {folder} (see --data)")
        found += there
    return found


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
