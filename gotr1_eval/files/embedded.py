"""Parquet rows, and the pictures that lie inside them, as the hub's datasets have them: ``{"bytes", "path"}``.

A picture's bytes are left where they are while rows are read, so that a table of any size fits into memory; they are
read when the picture is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from gotr1_eval.core.errors import DataError, one_line

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

BATCH = 1024
"""Rows that are held at once."""
FAR = 256
"""Rows that are passed over rather than looked for from the start of their row group."""
PICTURES = 16
"""Rows whose pictures' bytes are held at once."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Bytes inside a Parquet file, not read yet.

    Attributes:
        place, row, column: the file, the row's number from 0, and the leaf column that holds them.
        name: of the picture's file, where the row says it.
    """

    place: str
    row: int
    column: str
    name: str = ""


def parquet_rows(file: IO[bytes], place: str) -> Iterator[dict[str, Any]]:
    """The rows by column; where a column holds bytes, an `Embedded` stands for them.

    Raises:
        DataError: the file cannot be read.
    """
    with _reading(file, place) as source:
        binary = _binary_columns(source)
        leaves = [path for path in _paths(source) if path not in binary]
        number = 0
        for batch in source.iter_batches(batch_size=BATCH, use_threads=False, columns=leaves):
            for row in batch.to_pylist():
                for path in binary:
                    column = path.partition(".")[0]
                    inside = row.get(column)
                    name = inside.get("path") if isinstance(inside, dict) else None
                    row[column] = Embedded(place, number, path, str(name or ""))
                yield {str(column): _as_text(cell) for column, cell in row.items()}
                number += 1


class EmbeddedPictures:
    """Reads pictures out of Parquet files in the order of their rows; going back opens the file anew."""

    def __init__(self) -> None:
        self._at: tuple[str, str, int] | None = None
        self._rows: Iterator[tuple[int, bytes | None]] = iter(())

    def read(self, place: str, row: int, column: str) -> bytes | None:
        """The bytes, None where the row has none there.

        Raises:
            DataError: the file cannot be read, or has no such row.
        """
        if self._at is None or self._at[:2] != (place, column) or not 0 <= row - self._at[2] < FAR:
            self._rows = embedded_bytes(place, column, row)
        for number, data in self._rows:
            if number == row:
                self._at = (place, column, row + 1)
                return data
        self._at = None
        raise DataError(f"no row {row + 1} in it any more", path=place)

    def __getstate__(self) -> dict[str, object]:
        """Another process opens the file by itself."""
        return {"_at": None, "_rows": iter(())}


def embedded_bytes(place: str, column: str, start: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """(row, bytes) from a row on; a few rows are held at once.

    Raises:
        DataError: the file cannot be read.
    """
    import fsspec

    first = 0
    with fsspec.open(place, "rb") as file, _reading(file, place) as source:
        for group in range(source.num_row_groups):
            rows = source.metadata.row_group(group).num_rows
            if first + rows <= start:
                first += rows
                continue
            for batch in source.iter_batches(PICTURES, row_groups=[group], columns=[column], use_threads=False):
                cells = _leaf(batch.column(0)) if first + batch.num_rows > start else ()
                for row, cell in enumerate(cells, start=first):
                    if row >= start:
                        yield row, cell.as_py()
                first += batch.num_rows


@contextmanager
def _reading(file: IO[bytes], place: str) -> Iterator[ParquetFile]:
    """The file as Parquet; what is wrong with it is told in one line."""
    from pyarrow import ArrowException, parquet

    try:
        # Arrow's threads must not hold a Python file; see `gotr1_eval.files.writing`.
        yield parquet.ParquetFile(file.name if "://" not in place else file, pre_buffer=False)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as .parquet: {one_line(error)}", path=place) from None


def _paths(source: ParquetFile) -> list[str]:
    """Every leaf column's path, such as ``prompt`` and ``image.bytes``."""
    schema = source.metadata.schema
    return [schema.column(index).path for index in range(len(schema))]


def _binary_columns(source: ParquetFile) -> list[str]:
    """The leaf columns that hold bytes; texts that their writer did not mark as such are none."""
    schema = source.metadata.schema
    leaves = [schema.column(index) for index in range(len(schema))]
    raw = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type == "NONE"]
    return [path for path in raw if "." in path or not _holds_text(source, path)]


def _holds_text(source: ParquetFile, column: str) -> bool:
    for batch in source.iter_batches(1, columns=[column], use_threads=False):
        value = batch.column(0)[0].as_py()
        if value is not None:
            return _is_text(value)
    return True


def _is_text(value: bytes) -> bool:
    try:
        return "\0" not in value.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _as_text(cell: Any) -> Any:  # noqa: ANN401 (a cell of a foreign file is anything)
    return cell.decode("utf-8") if isinstance(cell, bytes) else cell


def _leaf(array: pyarrow.Array) -> pyarrow.Array:
    """The one leaf of a column that may be a struct."""
    while array.type.num_fields:
        (array,) = array.flatten()
    return array
