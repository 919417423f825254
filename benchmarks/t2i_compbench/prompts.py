"""Reading the benchmark's prompt lists, one prompt a line."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.core.errors import DataError


def read_prompts(path: Path) -> tuple[str, ...]:
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
