"""Prompts of one's own: a .txt file with one a line, or a table with a column of them and perhaps one of categories.

A benchmark's own list, which has to be whole, is read more strictly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.types import Prompt
from gotr1_eval.files.columns import Columns, listed, own_columns
from gotr1_eval.files.remote_pictures import OWN_KEYS
from gotr1_eval.files.tables import KINDS, find_shards, is_missing, open_text, read_table, table_kind, unpacked_name

UNNAMED = "prompts"
"""The category of prompts that have none."""
_OURS = ("category", "prompt_index", "image_index", *OWN_KEYS)
"""What the `meta` of samples that are generated says already."""


def is_prompt_file(name: str) -> bool:
    """Whether a name is that of a file of prompts, and not of a suite."""
    return table_kind(name) is not None or unpacked_name(name).endswith(".txt")


def read_prompts(file: Path | str, columns: Mapping[str, str] | None = None) -> dict[str, list[Prompt]]:
    """Prompts by category; those without one are in `UNNAMED`. A table's other columns are the prompts' facts.

    Args:
        file: a .txt file; or a table (see `gotr1_eval.files.tables`), several of them by a pattern, or a URL of either.
        columns: what the table's columns hold; see `gotr1_eval.files.columns`.

    Raises:
        UsageError, DataError: the file cannot be read, holds no prompt, or a row has none.
    """
    found: dict[str, list[Prompt]] = {}
    if table_kind(str(file)) is not None:
        for category, prompt in _table_prompts(str(file), columns or {}):
            found.setdefault(category, []).append(prompt)
    elif unpacked_name(str(file)).endswith(".txt"):
        with open_text(str(file)) as lines:
            found[UNNAMED] = [Prompt(line.strip()) for line in lines if line.strip()]
    else:
        raise UsageError(f"{file}: expected a .txt file with a prompt a line, or a table ({', '.join(KINDS)})")
    if not any(found.values()):
        raise DataError("no prompt in it", path=file)
    if "all" in found:
        raise DataError("a category cannot be called 'all', which is the name of the table's last row", path=file)
    return found


def read_prompt_list(path: Path) -> tuple[str, ...]:
    """The prompts of a list, one a line; empty lines at the end are ignored.

    Raises:
        DataError: the file is missing, empty, or not UTF-8, or has an empty line between prompts.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"cannot read the prompt list: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise DataError("the prompt list is not UTF-8", path=path) from None
    while lines and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError("expected a prompt, got an empty line", path=path, line=number)
    if not lines:
        raise DataError("the prompt list is empty", path=path)
    return tuple(line.strip() for line in lines)


def _table_prompts(file: str, named: Mapping[str, str]) -> Iterator[tuple[str, Prompt]]:
    """(category, prompt) of every row."""
    columns = Columns(named)
    for shard in find_shards(file) or [file]:
        for row in read_table(shard):
            names = columns.of(row)
            prompt = row.cells.get(names.get("prompt", "prompt"))
            category = row.cells.get(names.get("category", "category"))
            category = UNNAMED if is_missing(category) else category
            if not isinstance(prompt, str) or not prompt.strip():
                raise row.fault(f"expected a text under 'prompt', got {prompt!r} ({listed(tuple(row.cells))})")
            if not isinstance(category, str):
                raise row.fault(f"expected a text under 'category', got {category!r}")
            read = [names.get(what, what) for what in ("prompt", "category")]
            yield category, Prompt(prompt.strip(), own_columns(row, read, _OURS))
