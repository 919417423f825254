"""Rows of other people's tables with the cells that a mapping may name besides their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.tables import read_table, table_stem

KEY, ROW, FILE = "$key", "$row", "$file"
"""Columns that every row has besides its own: key in a JSON object, number from 0 in its file, the file's name."""


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
