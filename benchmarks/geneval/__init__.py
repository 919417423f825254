"""The GenEval suite: 553 prompts of six tasks, of its fetched metadata or the user's copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.geneval.prompts import FACTS, TAGS, Task, read_tasks
from benchmarks.geneval.results import gap_lines, read_results, summarise_results, write_results
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.layouts import PromptFolders
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run

METADATA = "evaluation_metadata.jsonl"
COLUMN = "official_geneval"


class Settings(StrictSettings):
    """Where the metadata lies: the file, or a folder with ``evaluation_metadata.jsonl``; None for the fetched one."""

    data: Path | None = None


class GenEvalSuite:
    """See `gotr1_eval.core.protocols.Suite`; the categories are the benchmark's six tags."""

    name = "geneval"
    categories = TAGS
    reward_set = None
    images_per_prompt = 4
    official = (OfficialMetric(COLUMN, "geneval", TAGS),)
    layout = PromptFolders("GenEval", FACTS)

    def __init__(self, data: Path | None) -> None:
        self._data = data

    @cached_property
    def path(self) -> Path:
        """The file of prompts; raises UsageError when none is given and none was fetched."""
        data = require_data(self.name, self._data)
        return data / METADATA if data.is_dir() else data

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts, in the file's order; empty for a task of which the file has none.

        Raises:
            DataError: the file is missing, or holds something else than GenEval's prompts.
        """
        return [task.prompt for task in self._tasks[category]]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's own row under ``geneval``: the judge reads it, and the official layout holds it."""
        return {FACTS: dict(self._tasks[category][prompt_index].row)}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Mask2Former, and the CLIP that names colours."""
        return {
            "detector": {"use": "mask2former", "model": file("mask2former")},
            "encoder": {"use": "clip", "model": file("clip-l14")},
        }

    def write_official(self, run: Path) -> list[str]:
        """results.jsonl in the official form, and summary.json; nothing where the official judge was not asked."""
        judged = load_run(run)
        column = judged.column(COLUMN)
        if column is None:
            return []
        results = write_results(list(judged.samples.values()), judged.outcomes[column.name], run / "results.jsonl")
        summary = summarise_results(results)
        if summary is None:
            return []
        content = {"judge": column.name, **summary.json()}
        write_atomically(run / "summary.json", json.dumps(content, indent=2) + "\n")
        return [column.name, *str(summary).splitlines()]

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The summary of an official results.jsonl; with prompts of one's own it also tells which of them have no row.

        Raises:
            DataError: it holds no verdict.
        """
        read = read_results(path)
        summary = summarise_results(read.results)
        if summary is None:
            raise DataError("no verdict in this file", path=path)
        tasks = None if self._data is None else read_tasks(self.path)
        return OfficialSummary(summary.json(), str(summary), tuple(gap_lines(read, tasks, images_per_prompt)))

    @cached_property
    def _tasks(self) -> Mapping[str, Sequence[Task]]:
        by_tag: dict[str, list[Task]] = {tag: [] for tag in TAGS}
        for task in read_tasks(self.path):
            if task.tag not in by_tag:
                raise DataError(f"unknown tag {task.tag!r} (known: {', '.join(TAGS)})", path=self.path)
            by_tag[task.tag].append(task)
        return by_tag


def build(settings: Settings, workshop: Workshop) -> GenEvalSuite:
    """The suite; its file is looked for when a prompt is asked for."""
    return GenEvalSuite(settings.data)
