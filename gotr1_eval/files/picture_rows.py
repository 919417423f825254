"""Rows of somebody else's file, a picture each, found again by the picture's path.

A row names its picture by an absolute path, or by the last parts of one: as many as tell the pictures apart. Slashes
of either kind, ``./``, ``..`` and composed or decomposed letters make no difference, and neither does a linked folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from gotr1_eval.core.errors import DataError, one_line

T = TypeVar("T")


@dataclass(slots=True)
class _Row(Generic[T]):
    """A line of the file, and the picture that it has been used for."""

    line: int
    name: str
    value: T
    used_for: Path | None = None


class PictureRows(Generic[T]):
    """What a file says about pictures; filled row by row, then asked by path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[tuple[str, ...], _Row[T]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> Iterator[T]:
        """What the rows say, in the file's order."""
        return (row.value for row in self._rows.values())

    def add(self, name: object, line: int, value: T) -> None:
        """Keep what a line says about a picture.

        Raises:
            DataError: the name is none, or the picture has a row already.
        """
        if not isinstance(name, str) or not name.strip():
            message = f"expected 'image', a text; got {one_line(repr(name), 60)}"
            raise DataError(message, path=self.path, line=line)
        parts = _parts(name)
        if parts in self._rows:
            first = self._rows[parts].line
            raise DataError(f"picture {name!r} has a row already, in line {first}", path=self.path, line=line)
        self._rows[parts] = _Row(line, name, value)

    def look_up(self, file: Path) -> T | None:
        """What the file says about the picture; None where it says nothing.

        Raises:
            DataError: the row could mean another picture as well.
        """
        row = self._find(file)
        if row is None:
            return None
        if row.used_for is not None and row.used_for != file and row.used_for.resolve() != file.resolve():
            message = f"the row stands for {row.used_for} as well as {file}; name more of the path in 'image'"
            raise DataError(message, path=self.path, line=row.line)
        row.used_for = file
        return row.value

    def unused(self, files: Sequence[Path]) -> str:
        """A line about the rows that are of none of these pictures; empty without such rows or without pictures."""
        used = {id(row) for row in map(self._find, files) if row is not None}
        rest = [row for row in self._rows.values() if id(row) not in used]
        if not rest or not files:
            return ""
        first = f"{one_line(rest[0].name, 80)!r}, line {rest[0].line}"
        return f"{self.path}: {len(rest)} of {len(self)} rows are of pictures that are not there (the first: {first})"

    def _find(self, file: Path) -> _Row[T] | None:
        """The row that names most of the path, as it is written or with its links followed."""
        for parts in dict.fromkeys((_parts(str(file.absolute())), _parts(str(file.resolve())))):
            for start in range(len(parts)):
                if (row := self._rows.get(parts[start:])) is not None:
                    return row
        return None


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the name; "/" stands first in an absolute path."""
    text = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return ("/", *parts) if text.startswith("/") else tuple(parts)
