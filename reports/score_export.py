"""A run's scores as one table, for pandas and spreadsheets."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.pictures import picture_name
from gotr1_eval.files.remote_pictures import EMBEDDED, IMAGE_URL, PICTURE_REMARKS
from gotr1_eval.files.writing import write_atomically, write_parquet
from reports.published.benchmark import known_benchmarks
from reports.run_data import RunData

if TYPE_CHECKING:
    import pandas as pd


OURS = ("category", PICTURE_REMARKS, IMAGE_URL, EMBEDDED, "prompt_index", "image_index", "truncated")
"""What the project itself notes about a sample, besides a benchmark's facts; everything else of its meta is a column of
whoever gave it."""


def scores_frame(run: RunData) -> pd.DataFrame:
    """A row a sample: id, prompt, category, image, for each judge its value and, where it has none, why, and what the
    sample was given with.

    A judge's value stands under its name (NaN where it is unscored), the reason under ``<name>/why`` (empty where it
    is scored). A given column whose name is taken is called ``given <name>``.
    """
    import pandas as pd

    samples = list(run.samples.values())
    columns: dict[str, list[Any]] = {
        "id": [clean_text(sample.id) for sample in samples],
        "prompt": [clean_text(sample.prompt) for sample in samples],
        "category": [clean_text(run.category(sample)) for sample in samples],
        "image": [picture_of(sample) for sample in samples],
    }
    for column in run.judges:
        outcomes = [run.outcomes[column.name].get(sample.id) for sample in samples]
        columns[column.name] = [outcome.value if isinstance(outcome, Score) else float("nan") for outcome in outcomes]
        columns[f"{column.name}/why"] = [
            "" if isinstance(outcome, Score) else "missing" if outcome is None else outcome.why.value
            for outcome in outcomes
        ]
    return pd.DataFrame({**columns, **given_columns(samples, columns)})


def given_columns(samples: Sequence[Sample], taken: Collection[str]) -> dict[str, list[Json]]:
    """The columns that a table gave besides prompt, picture, chain and category: its own ids, models, seeds, ....

    Values of a column that are not all numbers, truth values or texts are texts of JSON.

    Args:
        taken: names that mean something else already.
    """
    ours = {*OURS, *(fact for benchmark in known_benchmarks() for fact in benchmark.facts)}
    names = dict.fromkeys(name for sample in samples for name in sample.meta if name not in ours)
    found = {}
    for name in names:
        values = [sample.meta.get(name) for sample in samples]
        kinds = {type(value) for value in values if value is not None}
        plain = kinds <= {int, float} or kinds in ({str}, {bool})
        found[f"given {name}" if name in taken else clean_text(name)] = [
            value if value is None or (plain and not isinstance(value, str)) else clean_text(_as_text(value))
            for value in values
        ]
    return found


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def clean_text(text: str) -> str:
    """The text without lone surrogates, which neither Parquet nor UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def picture_of(sample: Sample) -> str | None:
    """The file, or the URL behind which it is."""
    where = sample.image if sample.image is not None else sample.meta.get(IMAGE_URL)
    return None if where is None else clean_text(str(where))


def write_scores(run: RunData) -> Path:
    """Write the table as scores.parquet and scores.csv into the run folder, and return where the first is."""
    path, frame = run.folder / "scores.parquet", scores_frame(run)
    write_parquet(frame, path)
    write_atomically(run.folder / "scores.csv", frame.to_csv(index=False))
    return path


def remark_lines(run: RunData) -> list[tuple[str, str]]:
    """(what is odd, a line that also says about which) of every picture that is odd but was judged."""
    return [
        (remark, f"{sample.id}: {picture_name(sample.image)}: {remark}")
        for sample in run.samples.values()
        if sample.image is not None
        for remark in _texts(sample.meta.get(PICTURE_REMARKS))
    ]


def _texts(value: Json) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []


def unscored_lines(run: RunData) -> list[tuple[str, str]]:
    """(by whom and why, a line that also says which) of every sample that a judge should have scored and did not."""
    lines = []
    for sample in run.samples.values():
        for column in run.judges:
            outcome = run.outcomes[column.name].get(sample.id)
            if column.factor == "total" or outcome is None or isinstance(outcome, Score):
                continue
            if outcome.why.value != "not_applicable":
                kind = f"{column.name}: {outcome.why.value}"
                lines.append((kind, f"{sample.id}: {kind}: {outcome.detail}"))
    return lines
