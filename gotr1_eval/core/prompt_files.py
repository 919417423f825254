"""Prompts of one's own: a .txt file with one a line, or a table with `prompt` and perhaps `category`."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.row_files import KINDS, find_shards, read_table

UNNAMED = "prompts"
"""The category of prompts that have none."""


def read_prompts(file: Path | str) -> dict[str, list[str]]:
    """Prompts by category; those without one are in `UNNAMED`.

    Args:
        file: a .txt file; or a .jsonl, .csv or .parquet table, several of them by a pattern, or a URL of either.

    Raises:
        UsageError, DataError: the file cannot be read, holds no prompt, or a row has none.
    """
    found: dict[str, list[str]] = {}
    if str(file).endswith(KINDS):
        for shard in find_shards(str(file)) or [str(file)]:
            for line, row in read_table(shard):
                prompt, category = row.get("prompt"), row.get("category")
                category = UNNAMED if category is None else category
                if not isinstance(prompt, str) or not isinstance(category, str) or not category.strip():
                    raise DataError(f"expected texts under 'prompt' and 'category', got {row}", path=shard, line=line)
                found.setdefault(category, []).append(prompt.strip())
    elif str(file).endswith(".txt"):
        try:
            lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise DataError(f"cannot read the prompts: {error.strerror}", path=file) from None
        except UnicodeDecodeError:
            raise DataError("the prompts are not UTF-8", path=file) from None
        found[UNNAMED] = [line.strip() for line in lines if line.strip()]
    else:
        raise UsageError(f"{file}: expected a .txt file with a prompt a line, or a .jsonl, .csv or .parquet table")
    if not any(found.values()):
        raise DataError("no prompt in it", path=file)
    if "all" in found:
        raise DataError("a category cannot be called 'all', which is the name of the table's last row", path=file)
    return found
