"""Which columns of a foreign table are the prompt, the picture, the chain and the category."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from gotr1_eval.core.errors import UsageError, nearest_name, one_line
from gotr1_eval.core.types import Json
from gotr1_eval.files.embedded import Embedded
from gotr1_eval.files.tables import Row, is_missing, tell
from gotr1_eval.files.text import Remark

# fmt: off
USUAL: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "caption", "text", "prompts", "captions", "text_prompt", "prompt_text", "instruction"),
    "image": (
        "image", "image_path", "path", "file_name", "filename", "file", "image_file", "img", "img_path", "picture",
        "images", "image_url", "url", "image_name", "file_path", "filepath",
    ),
    "chain": ("chain",),
    "category": ("category",),
}
# fmt: on
"""What tables call a column, the project's own name first."""


def read_columns(text: str | None) -> dict[str, str]:
    """The columns that ``--columns prompt=caption,image=image_path`` names, by what they hold.

    Raises:
        UsageError: a part is no ``what=column``, or an unknown what.
    """
    found: dict[str, str] = {}
    for part in filter(str.strip, (text or "").split(",")):
        what, equals, column = (piece.strip() for piece in part.partition("="))
        if not (equals and column):
            raise UsageError(f"--columns {text}: expected {'|'.join(USUAL)}=COLUMN,... and got {part!r}")
        if what not in USUAL:
            raise UsageError(f"--columns: no {what!r}{nearest_name(what, USUAL)} (known: {', '.join(USUAL)})")
        found[what] = column
    return found


class Columns:
    """Finds the columns in rows that need not have the same ones.

    Args:
        named: what is known already, by what it holds; see `read_columns`.
        remark: is told once which other name was taken.
    """

    def __init__(self, named: Mapping[str, str], remark: Remark = tell) -> None:
        self._named, self._remark = named, remark
        self._found: dict[tuple[str, ...], dict[str, str]] = {}

    def of(self, row: Row) -> Mapping[str, str]:
        """What a column holds -> its name, for those that the row has.

        Raises:
            DataError: a named column is not there, or several could be meant.
        """
        there = tuple(row.cells)
        if there not in self._found:
            self._found[there] = self._look(row, there)
        return self._found[there]

    def _look(self, row: Row, there: Sequence[str]) -> dict[str, str]:
        found = {}
        for what, usual in USUAL.items():
            name = self._named.get(what)
            if name is not None and name not in there:
                raise row.fault(f"no column {name!r}, which --columns names ({listed(there)})")
            name = name or self._guess(row, what, usual, [each for each in there if each not in self._named.values()])
            if name is not None:
                found[what] = name
        return found

    def _guess(self, row: Row, what: str, usual: Sequence[str], there: Sequence[str]) -> str | None:
        if what in there:
            return what
        folded = {name: name.casefold().replace(" ", "_").replace("-", "_") for name in there}
        close = [name for name in there if folded[name] in usual]
        if len(close) > 1:
            raise row.fault(
                f"which column is the {what}: {' or '.join(map(repr, close))}? Name it with --columns {what}="
                f"{close[0]} ({listed(there)})"
            )
        if close:
            self._remark(f"{row.place}: the {what} is taken from the column {close[0]!r} (see --columns)")
        return close[0] if close else None


def listed(there: Sequence[str]) -> str:
    """The columns that are there, for a message."""
    return f"there are: {one_line(', '.join(there))}" if there else "the row has none"


def own_columns(row: Row, read: Collection[str], ours: Collection[str]) -> dict[str, Json]:
    """The columns that mean nothing to the project, for a sample's `meta`; None where a cell says nothing.

    Args:
        read: columns that were read as something else.
        ours: names that `meta` has for other things; a column of such a name becomes ``given <name>``.
    """
    return {
        f"given {name}" if name in ours else name: None if is_missing(cell) else _plain(cell)
        for name, cell in row.cells.items()
        if name not in read
    }


def _plain(value: object) -> Json:
    """A column's value as strict JSON: what JSON has no form for (dates, NaN, arrays) as text."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        return one_line(str(value)) if isinstance(value, Embedded) else str(value)
