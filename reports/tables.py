"""The summary table of a run: a row a category, a column a judge, every mean with its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.statistics import Summary, summarise
from gotr1_eval.core.types import Json
from reports.run_data import JudgeColumn, RunData

ALL = "all"
"""The last row of a table with several categories: all samples pooled."""


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a run.

    Attributes:
        rows: category -> judge name -> summary; with several categories the last row is `ALL`.
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


def summarise_run(run: RunData, min_coverage: float = 0.95) -> Table:
    """The table of a run.

    Args:
        min_coverage: below this share of scored samples the table calls itself incomplete.
    """
    categories = list(run.expected)
    rows = {category: _row(run, category) for category in categories}
    if len(categories) > 1:
        rows[ALL] = _row(run, None)
    return Table(run.judges, rows, min_coverage)


def _row(run: RunData, category: str | None) -> dict[str, Summary]:
    samples = [sample for sample in run.samples.values() if category in (None, run.category(sample))]
    expected = sum(run.expected.values()) if category is None else run.expected[category]
    row = {}
    for column in run.judges:
        outcomes = run.outcomes[column.name]
        # The prompt's identity is the sample's id without the image index: prompts may repeat in a list.
        judged: list[tuple[str, Outcome | None]] = [(s.id.rpartition("/")[0], outcomes.get(s.id)) for s in samples]
        judged += [("", None)] * max(expected - len(samples), 0)
        row[column.name] = summarise(judged)
    return row


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
