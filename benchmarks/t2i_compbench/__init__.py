"""The T2I-CompBench(++) suite: its eight prompt lists, read from the user's copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Settings as StrictSettings

CATEGORIES = ("color", "shape", "texture", "spatial", "3d_spatial", "non_spatial", "numeracy", "complex")


class Settings(StrictSettings):
    """Where the prompt lists lie: a folder with ``<category>_val.txt``, one prompt a line."""

    data: Path | None = None


class CompBenchSuite:
    """See `gotr1_eval.core.protocols.Suite`."""

    name = "t2i-compbench"
    categories = CATEGORIES
    reward_set = "without_models"
    images_per_prompt = 10

    def __init__(self, data: Path) -> None:
        self.data = data
        self._lists: dict[str, Sequence[str]] = {}

    def prompts(self, category: str) -> Sequence[str]:
        """The category's val prompts, in the file's order; line ends are stripped, a trailing full stop is kept.

        Raises:
            DataError: the file is missing, empty, or not UTF-8.
        """
        if category not in self._lists:
            self._lists[category] = read_prompts(self.data / f"{category}_val.txt")
        return self._lists[category]


def build(settings: Settings, workshop: Workshop) -> CompBenchSuite:
    """The suite.

    Raises:
        UsageError: no folder was given.
    """
    if settings.data is None:
        raise UsageError(
            "the t2i-compbench suite needs its prompt lists: pass --data DIR with color_val.txt, spatial_val.txt, ... "
            "(examples/dataset of github.com/Karine-Huang/T2I-CompBench)"
        )
    return CompBenchSuite(settings.data)


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
