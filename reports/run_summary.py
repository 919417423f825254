"""The summary table of a run: a row a category, a column a judge, every mean with its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.statistics.summary import Summary, summarise_tasks
from gotr1_eval.core.types import Json
from reports.published.benchmark import benchmark_of
from reports.run_data import JudgeColumn, RunData

ALL = "all"
"""The row of a table with several categories that pools all samples."""
TASK_MEAN = "mean of tasks"
"""The row below it for benchmarks whose overall score is the mean of the categories' means, each counting alike."""
SUMS = (ALL, TASK_MEAN)
"""Rows that sum up others."""


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a run.

    Attributes:
        rows: category -> judge name -> summary; with several categories there is `ALL`, and perhaps `TASK_MEAN`.
        min_coverage: the share of samples that must be scored.
    """

    judges: tuple[JudgeColumn, ...]
    rows: Mapping[str, Mapping[str, Summary]]
    min_coverage: float

    @property
    def gaps(self) -> list[str]:
        """One line for every cell whose coverage is below the limit; empty for a complete table."""
        return [
            f"{category} / {judge}: {summary.coverage:.1%} scored"
            for category, row in self.rows.items()
            for judge, summary in row.items()
            if summary.coverage < self.min_coverage
        ]

    @property
    def empty(self) -> bool:
        """Whether judges were asked and none has scored a single sample."""
        cells = [cell for row in self.rows.values() for cell in row.values()]
        return bool(cells) and all(cell.mean is None for cell in cells)


def summarise_run(run: RunData, min_coverage: float = 0.95) -> Table:
    """The table of a run.

    Args:
        min_coverage: below this share of scored samples the table calls itself incomplete.
    """
    rows = {
        name: {
            column.name: summarise_tasks(
                (judged_samples(run, task, column.name) for task in tasks), within=column.range
            )
            for column in run.judges
        }
        for name, tasks in row_tasks(run).items()
    }
    return Table(run.judges, rows, min_coverage)


def row_tasks(run: RunData) -> dict[str, list[list[str]]]:
    """Row -> the tasks whose means it is the mean of; a task is one category, or several pooled."""
    categories = list(run.expected)
    rows = {category: [[category]] for category in categories}
    if len(categories) > 1:
        rows[ALL] = [categories]
        if benchmark_of(run).mean_of_categories:
            rows[TASK_MEAN] = [[category] for category in categories]
    return rows


def judged_samples(run: RunData, categories: Sequence[str], judge: str) -> list[tuple[str, Outcome | None]]:
    """(prompt's identity, outcome) of every sample of these categories, None for one that was asked for and is not
    there."""
    outcomes = run.outcomes[judge]
    samples = [sample for sample in run.samples.values() if run.category(sample) in categories]
    expected = sum(run.expected[category] for category in categories)
    # The prompt's identity is the sample's id without the image index: prompts may repeat in a list.
    judged: list[tuple[str, Outcome | None]] = [(s.id.rpartition("/")[0], outcomes.get(s.id)) for s in samples]
    return judged + [("", None)] * max(expected - len(samples), 0)


def table_json(table: Table) -> dict[str, Json]:
    """The table as JSON values."""
    return {
        "complete": not table.gaps,
        "incomplete_cells": list(table.gaps),
        "judges": [{"factor": column.factor, "name": column.name} for column in table.judges],
        "rows": {
            category: {judge: asdict(cell) for judge, cell in row.items()} for category, row in table.rows.items()
        },
    }
