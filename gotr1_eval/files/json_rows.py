"""Rows of JSON: one object a line, a list of objects, or an object of them; what it holds counts, not its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from gotr1_eval.core.errors import DataError

Keyed = tuple[int, str | int | None, dict[str, Any]]
"""(line, or number of the row from 1; key; cells)."""


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
