"""The T2I-CompBench(++) suite: its eight prompt lists, fetched once, or the user's copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.t2i_compbench.prompt_lists import read_prompts
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.public_data import require_data
from gotr1_eval.core.types import Json
from gotr1_eval.settings import Settings as StrictSettings

CATEGORIES = ("color", "shape", "texture", "spatial", "3d_spatial", "non_spatial", "numeracy", "complex")


class Settings(StrictSettings):
    """Where the lists lie: a folder with ``<category>_val.txt``, one prompt a line; None for the fetched ones."""

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

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """Nothing besides the text."""
        return {}


def build(settings: Settings, workshop: Workshop) -> CompBenchSuite:
    """The suite; raises UsageError when no folder is given and none was fetched."""
    return CompBenchSuite(require_data(CompBenchSuite.name, settings.data))
