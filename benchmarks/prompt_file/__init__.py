"""A suite of one's own: prompts from a .txt file or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.official import PlainSuite
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.prompts import read_prompts
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """A .txt file with one prompt a line, or a table of prompts; see `gotr1_eval.files.prompts`."""

    file: str


class PromptFileSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`."""

    reward_set = "without_models"
    images_per_prompt = 1

    def __init__(self, file: str) -> None:
        self.name = safe_name(Path(file).stem)
        self._lists = read_prompts(file)
        self.categories = tuple(self._lists)

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts, in the file's order."""
        return [prompt.text for prompt in self._lists[category]]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """What the table's other columns say of the prompt."""
        return self._lists[category][prompt_index].facts


def build(settings: Settings, workshop: Workshop) -> PromptFileSuite:
    """The suite; the file is read at once."""
    return PromptFileSuite(settings.file)
