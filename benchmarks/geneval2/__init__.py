"""GenEval 2: 800 prompts of 3 to 10 atoms with their questions, of its fetched file or the user's copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.geneval2.layout import PromptMap
from benchmarks.geneval2.prompts import ATOMS, DATA, FACTS, Row, read_file, row_of
from benchmarks.geneval2.results import Scores, Tables, read_scores, tables, write_scores
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run

COLUMN = "official_soft_tifa"
MODEL = "Qwen/Qwen3-VL-8B-Instruct"
SCORE_LISTS, TABLES = "score_lists.json", "tables.json"
CATEGORIES = tuple(f"atoms_{number}" for number in ATOMS)


class Settings(StrictSettings):
    """Where the prompts lie: a folder with ``geneval2_data.jsonl``, or such a file; None for the fetched one."""

    data: Path | None = None


class GenEval2Suite:
    """See `gotr1_eval.core.protocols.Suite`; the categories are the prompts of so many atoms."""

    name = "geneval2"
    categories = CATEGORIES
    reward_set = None
    images_per_prompt = 1
    official = (OfficialMetric(COLUMN, "geneval2", CATEGORIES),)
    layout = PromptMap()

    def __init__(self, data: Path | None) -> None:
        self._data = data

    @cached_property
    def rows(self) -> list[Row]:
        """All prompts, in the file's order; raises UsageError when none is given and none was fetched."""
        data = require_data(self.name, self._data)
        return read_file(data / DATA if data.is_dir() else data)

    def prompts(self, category: str) -> Sequence[str]:
        """The prompts of so many atoms, in the file's order.

        Raises:
            DataError: the file is missing, or holds something else than GenEval 2's prompts.
        """
        return [row.prompt for row in self._by_atoms[category]]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's row under ``geneval2``, with its place in the file."""
        return {FACTS: dict(self._by_atoms[category][prompt_index].fact)}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Qwen3-VL-8B-Instruct, from the hub."""
        return {"vlm": {"use": "qwen", "model": MODEL}}

    def write_official(self, run: Path) -> list[str]:
        """tables.json, and score_lists.json in the official form where every question of every prompt has a score."""
        judged = load_run(run)
        column = judged.column(COLUMN)
        if column is None:
            return []
        outcomes = judged.outcomes[column.name]
        scored = [
            (row_of(sample), [one.verdict for one in outcomes[sample.id].questions])
            for sample in judged.samples.values()
            if sample.id in outcomes and outcomes[sample.id].questions
        ]
        if not scored:
            return []
        scored.sort(key=lambda pair: pair[0].index)
        rows, scores = [row for row, _ in scored], [each for _, each in scored]
        summary = tables(rows, scores)
        write_atomically(run / TABLES, json.dumps({"judge": column.name, **summary.json()}, indent=2) + "\n")
        if self._is_complete(rows, scores):
            write_atomically(run / SCORE_LISTS, write_scores(scores))
        return [column.name, *str(summary).splitlines()]

    def _is_complete(self, rows: Sequence[Row], scores: Sequence[Scores]) -> bool:
        whole = [row.index for row in rows] == list(range(len(self.rows)))
        return whole and all(score is not None for each in scores for score in each)

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The tables of a file that the script wrote, or of a run's folder with one.

        It holds a score for every question of every prompt, in the order of the prompts.

        Raises:
            DataError: it holds something else, or as many lists as other prompts have.
        """
        path = path / SCORE_LISTS if path.is_dir() else path
        scores, rows = read_scores(path), self.rows
        if len(scores) != len(rows):
            raise DataError(f"expected the scores of {len(rows)} prompts, got {len(scores)}", path=path)
        if all(len(each) == 1 for each in scores):
            mean = sum(each[0] for each in scores) / len(scores)
            content: dict[str, Json] = {"vqascore": {"value": mean, "pictures": len(scores)}}
            return OfficialSummary(content, f"VQAScore {100 * mean:.2f} ({len(scores)} pictures)")
        for row, each in zip(rows, scores, strict=True):
            if len(each) != len(row.pairs):
                raise DataError(
                    f"prompt {row.index} ({row.prompt!r}): expected {len(row.pairs)} scores, got {len(each)}", path=path
                )
        summary: Tables = tables(rows, scores)
        return OfficialSummary(summary.json(), str(summary))

    @cached_property
    def _by_atoms(self) -> Mapping[str, Sequence[Row]]:
        found: dict[str, list[Row]] = {name: [] for name in CATEGORIES}
        for row in self.rows:
            if row.atoms not in ATOMS:
                raise DataError(f"prompt {row.index}: expected 3 to 10 atoms, got {row.atoms}", path=DATA)
            found[f"atoms_{row.atoms}"].append(row)
        return found


def build(settings: Settings, workshop: Workshop) -> GenEval2Suite:
    """The suite; its file is looked for when a prompt is asked for."""
    return GenEval2Suite(settings.data)
