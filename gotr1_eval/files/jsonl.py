"""Files of one JSON value a line: strict (no NaN), appended in one piece, tolerant of a cut-off end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, writing
from gotr1_eval.core.secrets import redact


def dump(value: object) -> str:
    """One line of strict JSON. Lone surrogates, which UTF-8 cannot hold, are written as escapes, numpy's numbers as
    Python's.

    Raises:
        ValueError: the value holds NaN or an infinity.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, default=_plain)
    return text


def _plain(value: object) -> object:
    """What JSON has for a number or a text of another library."""
    if isinstance(value, Path):
        return str(value)
    if (plain := getattr(value, "tolist", None)) is None:
        raise TypeError(f"{type(value).__name__} is no value of JSON")
    return plain()


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append all rows with one write, redacted, and wait until they are on the disk.

    Raises:
        RunError: the disk is full, for one; the file is then as it was.
    """
    block = "".join(f"{redact(dump(row))}\n" for row in rows).encode("utf-8")
    with writing(path), path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        view = memoryview(block)
        try:
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


def read_rows(path: Path, *, ours: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of every line.

    Args:
        ours: the file was written by `append_rows`: a last line without its newline was cut off and is skipped.
            Other people's files may end without one; blank lines in them are passed over.

    Raises:
        DataError: the file cannot be read, or a complete line is not a JSON object.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if ours and not line.endswith(b"\n"):
                    return
                if ours or line.strip():
                    yield number, parse_row(line, path, number)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None


def parse_row(line: bytes, path: Path | str, number: int) -> dict[str, Any]:
    """The JSON object that a line of a file holds.

    Raises:
        DataError: it holds something else.
    """
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"expected a JSON object, got something else ({error})", path=path, line=number) from None
    if not isinstance(row, dict):
        raise DataError(f"expected a JSON object, got {type(row).__name__}", path=path, line=number)
    return row


def cut_torn_line(path: Path) -> None:
    """Remove what follows the last newline: the half-written line of a process that was killed."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(end - 65536, 0)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
