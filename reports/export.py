"""A run's scores as one table, for pandas and spreadsheets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotr1_eval.core.outcome import Score
from gotr1_eval.core.parquet import write_parquet
from gotr1_eval.core.pictures import picture_name
from gotr1_eval.core.types import Json
from reports.run_data import RunData

if TYPE_CHECKING:
    import pandas as pd


def scores_frame(run: RunData) -> pd.DataFrame:
    """A row a sample: id, prompt, category, image, and for each judge its value and, where it has none, why.

    A judge's value stands under its name (NaN where it is unscored), the reason under ``<name>/why`` (empty where it
    is scored).
    """
    import pandas as pd

    samples = list(run.samples.values())
    columns: dict[str, list[Any]] = {
        "id": [sample.id for sample in samples],
        "prompt": [sample.prompt for sample in samples],
        "category": [run.category(sample) for sample in samples],
        "image": [None if sample.image is None else str(sample.image) for sample in samples],
    }
    for column in run.judges:
        outcomes = [run.outcomes[column.name].get(sample.id) for sample in samples]
        columns[column.name] = [outcome.value if isinstance(outcome, Score) else float("nan") for outcome in outcomes]
        columns[f"{column.name}/why"] = [
            "" if isinstance(outcome, Score) else "missing" if outcome is None else outcome.why.value
            for outcome in outcomes
        ]
    return pd.DataFrame(columns)


def write_scores(run: RunData) -> Path:
    """Write the table as scores.parquet into the run folder, and return where it is."""
    path = run.folder / "scores.parquet"
    write_parquet(scores_frame(run), path)
    return path


def remark_lines(run: RunData) -> list[str]:
    """One line for every picture that is odd but was judged: which, and what is odd about it."""
    return [
        f"{sample.id}: {picture_name(sample.image)}: {remark}"
        for sample in run.samples.values()
        if sample.image is not None
        for remark in _texts(sample.meta.get("picture_remarks"))
    ]


def _texts(value: Json) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []


def unscored_lines(run: RunData) -> list[str]:
    """One line for every sample that a judge should have scored and did not: which, by whom, why."""
    lines = []
    for sample in run.samples.values():
        for column in run.judges:
            outcome = run.outcomes[column.name].get(sample.id)
            if column.factor == "total" or outcome is None or isinstance(outcome, Score):
                continue
            if outcome.why.value != "not_applicable":
                lines.append(f"{sample.id}: {column.name}: {outcome.why.value}: {outcome.detail}")
    return lines
