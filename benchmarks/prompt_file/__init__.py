"""A suite of one's own: prompts from a .txt file or a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, PictureLayout, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.prompts import read_prompts
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """A .txt file with one prompt a line, or a table of prompts; see `gotr1_eval.files.prompts`."""

    file: str


class PromptFileSuite:
    """See `gotr1_eval.core.protocols.Suite`."""

    reward_set = "without_models"
    images_per_prompt = 1
    official: tuple[OfficialMetric, ...] = ()
    layout: PictureLayout | None = None

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

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """None: there are no published scores."""
        return {}

    def write_official(self, run: Path) -> list[str]:
        """Nothing: there are no official scripts."""
        return []

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """Raises UsageError: there is no such file of this suite's."""
        raise UsageError(f"--results {path}: a prompt file has no official scripts")


def build(settings: Settings, workshop: Workshop) -> PromptFileSuite:
    """The suite; the file is read at once."""
    return PromptFileSuite(settings.file)
