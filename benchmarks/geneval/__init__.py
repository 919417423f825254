"""The GenEval suite: 553 prompts of six tasks, of its fetched metadata or the user's copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.geneval.metadata import TAGS, Task, read_tasks
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.public_data import require_data
from gotr1_eval.core.types import Json
from gotr1_eval.settings import Settings as StrictSettings

METADATA = "evaluation_metadata.jsonl"


class Settings(StrictSettings):
    """Where the metadata lies: the file, or a folder with ``evaluation_metadata.jsonl``; None for the fetched one."""

    data: Path | None = None


class GenEvalSuite:
    """See `gotr1_eval.core.protocols.Suite`; the categories are the benchmark's six tags."""

    name = "geneval"
    categories = TAGS
    reward_set = "without_models"
    images_per_prompt = 4

    def __init__(self, data: Path) -> None:
        self.path = data / METADATA if data.is_dir() else data

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts, in the file's order; empty for a task of which the file has none.

        Raises:
            DataError: the file is missing, or holds something else than GenEval's prompts.
        """
        return [task.prompt for task in self._tasks[category]]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's own row under ``geneval``: the judge reads it, and the official layout holds it."""
        return {"geneval": dict(self._tasks[category][prompt_index].row)}

    @cached_property
    def _tasks(self) -> Mapping[str, Sequence[Task]]:
        by_tag: dict[str, list[Task]] = {tag: [] for tag in TAGS}
        for task in read_tasks(self.path):
            if task.tag not in by_tag:
                raise DataError(f"unknown tag {task.tag!r} (known: {', '.join(TAGS)})", path=self.path)
            by_tag[task.tag].append(task)
        return by_tag


def build(settings: Settings, workshop: Workshop) -> GenEvalSuite:
    """The suite; raises UsageError when no file is given and none was fetched."""
    return GenEvalSuite(require_data(GenEvalSuite.name, settings.data))
