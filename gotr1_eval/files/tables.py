"""Tables as people write them, row by row: CSV, TSV, JSON, JSON lines and Parquet, local or behind any URL of fsspec.

A table may be cut into shards: a folder, or a pattern such as ``s3://bucket/list-*.parquet``. Whatever the size of the
table, a batch of rows is in memory (of a JSON list, which has to be read whole, all of them).
"""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import IO, Any

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.delimited import delimited_rows
from gotr1_eval.files.embedded import parquet_rows
from gotr1_eval.files.text import Remark, read_lines

Keyed = tuple[int, str | int | None, dict[str, Any]]
"""(line, or number of the row from 1; key; cells)."""
KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
PACKED = (".gz", ".bz2", ".xz")
"""Compressions whose ending may follow that of a text file."""
log = logging.getLogger(__name__)


def json_rows(lines: Iterator[str], place: str, *, whole: bool) -> Iterator[Keyed]:
    """The rows of a text.

    Args:
        whole: the name says JSON, not JSON lines: an object is then one of rows, unless more lines follow it.

    Raises:
        DataError: a row is no JSON object; names its line.
    """
    full = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    first = next(full, None)
    if first is None:
        return
    numbered = chain([first], full)
    if not whole and not first[1].lstrip().startswith("["):
        yield from _line_rows(numbered, place)
        return
    kept = list(numbered)
    try:
        value = json.loads("".join(line for _, line in kept))
    except (ValueError, RecursionError) as error:
        if first[1].lstrip().startswith("[") or not _is_object(first[1]):
            line = first[0] - 1 + error.lineno if isinstance(error, json.JSONDecodeError) else None
            raise DataError(f"not JSON ({error})", path=place, line=line) from None
        yield from _line_rows(kept, place)
        return
    yield from _whole_rows(value, place)


def _line_rows(lines: Iterable[tuple[int, str]], place: str) -> Iterator[Keyed]:
    for number, line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"expected a JSON object, got something else ({error})", path=place, line=number) from None
        yield number, None, _cells(row, place, number)


def _whole_rows(value: object, place: str) -> Iterator[Keyed]:
    if isinstance(value, dict) and len(value) == 1 and isinstance(rows := next(iter(value.values())), list):
        value = rows
    if isinstance(value, list):
        for number, row in enumerate(value):
            yield number + 1, number, _cells(row, place, number + 1)
    elif isinstance(value, dict):
        for number, (key, row) in enumerate(value.items(), start=1):
            yield number, key, _cells(row, place, number)
    else:
        raise DataError(f"expected a list or an object of rows, got {type(value).__name__}", path=place)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _cells(row: object, place: str, number: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"expected a JSON object, got {type(row).__name__}", path=place, line=number)
    return row


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells by column, and where it stands.

    Attributes:
        cells: of CSV and TSV texts, of other files what JSON has; a picture inside a Parquet file is an `Embedded`.
        line: on which the row begins, counted from 1; of JSON and Parquet the number of the row.
        key: of the row in a JSON object, or its number from 0 in a JSON list.
    """

    cells: dict[str, Any]
    place: str
    line: int
    key: str | int | None = None

    def fault(self, message: str) -> DataError:
        """An error that names the row."""
        return DataError(message, path=self.place, line=self.line)


def tell(remark: str) -> None:
    """Say something worth knowing about a file, on stderr unless logging is set up otherwise."""
    log.warning("note: %s", remark)


def find_shards(source: str) -> list[str]:
    """The files that a path, a URL, a folder of either or a pattern names, sorted by name; hidden ones are passed over.

    Raises:
        UsageError: the URL's kind is unknown.
    """
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(source)
        if files.isfile(path):
            found = [path]
        elif files.isdir(path):
            found = [each for each in files.ls(path, detail=False) if table_kind(str(each)) and _is_shown(each)]
        else:
            found = [each for each in files.glob(path) if _is_shown(each)] if set("*?[") & set(path) else []
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"{source}: cannot be read: {one_line(error)}") from None
    local = "://" not in source
    return sorted(str(each) if local else str(files.unstrip_protocol(each)) for each in found)


def _is_shown(path: object) -> bool:
    """Whether a file is none of those that systems hide, such as ``._list.csv``."""
    return not PurePosixPath(str(path)).name.startswith(".")


def table_kind(place: str) -> str | None:
    """Which of `KINDS` a file's name says it is, in any case and under any compression; None for another file."""
    return next((kind for kind in KINDS if unpacked_name(place).endswith(kind)), None)


def unpacked_name(place: str) -> str:
    """The file's name in small letters, without the ending of a compression."""
    name = place.lower()
    return name.removesuffix(next((ending for ending in PACKED if name.endswith(ending)), ""))


def table_stem(place: str) -> str:
    """The file's name without its folder, ending and compression."""
    name = PurePosixPath(place).name
    for endings in (PACKED, KINDS):
        if (ending := next((each for each in endings if name.lower().endswith(each)), None)) is not None:
            name = name[: -len(ending)]
    return name


def read_table(place: str, remark: Remark = tell) -> Iterator[Row]:
    """The rows of one file.

    Cells are given as they stand there: an empty cell of a CSV is an empty text, a missing one of Parquet None.

    Args:
        remark: is told how the file was read where that is not certain.

    Raises:
        UsageError: a file of another kind.
        DataError: the file cannot be read, or a row of it is damaged; names the line and what to do.
    """
    kind = table_kind(place)
    if kind is None:
        raise UsageError(f"{place}: expected a table ({', '.join(KINDS)}; text also with .gz) or a folder of them")
    with _opened(place) as file:
        beginning = file.read(4)
        if beginning == b"PAR1" or kind == ".parquet":
            for line, cells in enumerate(parquet_rows(file, place), start=1):
                yield Row(cells, place, line)
            return
        if beginning.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise DataError("an Excel workbook or an archive; save the table as CSV", path=place)
        if beginning.startswith(b"\x1f\x8b"):
            raise DataError("compressed by gzip, which its name must say; add .gz to it", path=place)
        file.seek(0)
        lines = read_lines(file, place, remark)
        if kind in (".csv", ".tsv"):
            for line, cells in delimited_rows(lines, place, "\t" if kind == ".tsv" else None):
                yield Row(cells, place, line)
        else:
            for line, key, cells in json_rows(lines, place, whole=kind == ".json"):
                yield Row(cells, place, line, key)


@contextmanager
def open_text(place: str, remark: Remark = tell) -> Iterator[Iterator[str]]:
    """The lines of a text file with their ends, whatever its compression and encoding; see `files.text`."""
    with _opened(place) as file:
        yield read_lines(file, place, remark)


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    """The file, unpacked and open for reading bytes; what goes wrong while it is read is told in one line, too."""
    import fsspec

    packed = place.lower().endswith(PACKED)
    try:
        with fsspec.open(place, "rb", compression="infer" if packed else None) as file:
            yield file
    except (EOFError, zlib.error) as error:
        raise DataError(f"damaged or cut off: {one_line(error)}", path=place) from None
    except (OSError, ImportError) as error:
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or one_line(error)}", path=place) from None


def is_missing(cell: object) -> bool:
    """Whether a cell says nothing: None, NaN, or a text of blanks only."""
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))
