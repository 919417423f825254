"""UniGenBench++'s prompts and their test points, of its CSV files.

    index, prompt_en | prompt_zh, sub_dims_en | sub_dims_zh

where sub_dims is JSON with themes, a list of kinds ("Testpoints", in Chinese "考点") and what each means here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError

LISTS = ("en", "en_long", "zh", "zh_long")
"""The four lists of prompts: two languages, short and long."""
LANGUAGES = ("en", "zh")
_KEYS: Mapping[str, tuple[str, str]] = {
    "en": ("Testpoints", "Testpoint Description"),
    "zh": ("考点", "考点对应描述"),
}


def language_of(name: str) -> str:
    """The language of a list: ``en_long`` -> ``en``."""
    return name.partition("_")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A prompt and what is asked about its pictures.

    Attributes:
        kinds: of the test points; a kind may stand there twice.
        descriptions: what each test point means for this prompt, as many.
        mended: the row's JSON is broken in the authors' file and was read with a comma put in.

    Raises:
        ValueError: there are no kinds, or not as many descriptions.
    """

    index: int
    prompt: str
    kinds: tuple[str, ...]
    descriptions: tuple[str, ...]
    mended: bool = False

    def __post_init__(self) -> None:
        if not self.kinds or len(self.kinds) != len(self.descriptions):
            raise ValueError(f"{len(self.kinds)} test points and {len(self.descriptions)} descriptions")


def read_items(path: Path, name: str) -> list[Item]:
    """The items of a list, in the file's order.

    One row of the authors' English long list (index 509) lacks a comma, on which their own script ends; it is read with
    the comma, and says so (`Item.mended`).

    Raises:
        DataError: the file is missing or holds something else.
    """
    language = language_of(name)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", path=path) from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    wanted = ("index", f"prompt_{language}", f"sub_dims_{language}")
    if absent := [column for column in wanted if column not in (reader.fieldnames or ())]:
        raise DataError(f"expected the columns {', '.join(wanted)}; there is no {', '.join(absent)}", path=path)
    items = [_item(row, wanted, _KEYS[language], path, reader.line_num) for row in reader]
    if not items:
        raise DataError("no prompt in this file", path=path)
    return items


def _item(row: Mapping[str, str], columns: Sequence[str], keys: tuple[str, str], path: Path, line: int) -> Item:
    try:
        facts, mended = _facts(row[columns[2]])
        kinds, descriptions = (tuple(map(str, facts[key])) for key in keys)
        return Item(
            index=int(row[columns[0]]),
            prompt=row[columns[1]],
            kinds=kinds,
            descriptions=descriptions,
            mended=mended,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"no prompt with its test points ({error!r})", path=path, line=line) from None


def _facts(text: str) -> tuple[dict[str, Any], bool]:
    """The JSON of a row, and whether a comma had to be put between two texts that follow each other without one."""
    try:
        return json.loads(text), False
    except json.JSONDecodeError as error:
        before, behind = text[: error.pos].rstrip(), text[error.pos :]
        if not (before.endswith('"') and behind.startswith('"')):
            raise
        return json.loads(f"{before}, {behind}"), True
