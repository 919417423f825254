"""Tables of rows, read row by row: JSON lines, CSV and Parquet, local or behind any URL that fsspec opens.

A table may be cut into shards: a folder, or a pattern such as ``s3://bucket/list-*.parquet``. Whatever the size of the
table, one batch of rows is in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.jsonl import parse_row

KINDS = (".jsonl", ".csv", ".parquet")
BATCH = 1024
"""Rows that are held at once."""

Numbered = tuple[int, dict[str, Any]]
"""(line, row): the line counts from 1, and a CSV's or Parquet's first row is line 2; empty cells are None."""


def find_shards(source: str) -> list[str]:
    """The files that a path, a URL, a folder of either or a pattern names, sorted by name.

    Raises:
        UsageError: nothing is there, or the URL's kind is unknown.
    """
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(source)
        if files.isfile(path):
            found = [path]
        elif files.isdir(path):
            found = [each for each in files.ls(path, detail=False) if str(each).endswith(KINDS)]
        else:
            found = files.glob(path) if set("*?[") & set(path) else []
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"{source}: cannot be read: {one_line(error)}") from None
    local = "://" not in source
    return sorted(str(each) if local else str(files.unstrip_protocol(each)) for each in found)


def read_table(place: str) -> Iterator[Numbered]:
    """The rows of one file.

    Raises:
        UsageError: a file of another kind.
        DataError: the file cannot be read, or a line of it is no JSON object.
    """
    if place.endswith(".jsonl"):
        yield from _jsonl(place)
    elif place.endswith((".csv", ".parquet")):
        rows = _csv(place) if place.endswith(".csv") else _parquet(place)
        for line, row in enumerate(rows, start=2):
            yield line, {str(key): None if _is_nan(value) else value for key, value in row.items()}
    else:
        raise UsageError(f"{place}: expected a folder or a .csv, .jsonl or .parquet file")


def _jsonl(place: str) -> Iterator[Numbered]:
    with _opened(place) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, parse_row(line, place, number)


def _csv(place: str) -> Iterator[dict[Any, Any]]:
    import pandas as pd

    with _opened(place) as file:
        try:
            tables = pd.read_csv(file, dtype=str, keep_default_na=False, na_values=[""], chunksize=BATCH)
            for table in tables:
                yield from table.astype(object).where(table.notna(), None).to_dict("records")
        except (ValueError, OSError) as error:
            raise DataError(f"cannot be read as .csv: {one_line(error)}", path=place) from None


def _parquet(place: str) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet

    # Arrow's threads must not hold a Python file; see `gotr1_eval.core.parquet`.
    with _opened(place) as file:
        try:
            source = parquet.ParquetFile(file.name if "://" not in place else file, pre_buffer=False)
            for batch in source.iter_batches(batch_size=BATCH, use_threads=False):
                yield from batch.to_pylist()
        except (ValueError, OSError) as error:
            raise DataError(f"cannot be read as .parquet: {one_line(error)}", path=place) from None


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    """The file, open for reading bytes; what goes wrong while it is read is told in one line, too."""
    import fsspec

    try:
        file = fsspec.open(place, "rb").open()
    except (OSError, ValueError, ImportError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise DataError(f"cannot be read: {reason}", path=place) from None
    with file:
        yield file


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
