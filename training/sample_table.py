"""Samples of a step in the trackers: prompt, chain, picture and what every judge said, a row a sample.

Each tracker shows what it can: wandb a table with pictures, TensorBoard a text with a table and the pictures, aim
pictures with captions, mlflow and comet_ml files of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.files.jsonl import dump
from gotr1_eval.files.pictures import open_picture
from reports.documents import markdown_text
from training.rollout import JudgedRollout

NAME = "samples"


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Rows of texts and numbers, and a picture for each.

    Attributes:
        columns: prompt, chain, every factor of the reward, every watched judge, and unscored, where the reasons stand.
        rows: a cell a column; a factor without a score has None.
        pictures: RGB, of one size.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    pictures: tuple[Image.Image, ...]


def sample_table(judged: JudgedRollout, rows: int) -> SampleTable:
    """The first samples of a rollout, so many at most: whole groups stand side by side."""
    samples = judged.rollout.samples[:rows]
    outcomes = [
        {**row, **{f"watched/{name}": outcome for name, outcome in watched.items()}}
        for row, watched in zip(judged.rows[:rows], judged.watched[:rows], strict=True)
    ]
    return SampleTable(
        ("prompt", "chain", *outcomes[0], "unscored"),
        tuple(
            (sample.prompt, sample.chain or "", *map(_value, row.values()), _reasons(row))
            for sample, row in zip(samples, outcomes, strict=True)
        ),
        tuple(open_picture(sample.image) for sample in samples if sample.image is not None),
    )


def _value(outcome: Outcome) -> float | None:
    return outcome.value if isinstance(outcome, Score) else None


def _reasons(row: Mapping[str, Outcome]) -> str:
    told = {name: each for name, each in row.items() if isinstance(each, Unscored)}
    return "; ".join(f"{name}: {each.why.value}: {each.detail}" for name, each in told.items())


def log_table(trackers: Sequence[Any], table: SampleTable, step: int) -> None:
    """Show a table in every tracker that can.

    Args:
        trackers: accelerate's, started.
    """
    for tracker in trackers:
        if (write := _WRITERS.get(tracker.name)) is not None:
            write(tracker, table, step)


def _wandb(tracker: Any, table: SampleTable, step: int) -> None:  # noqa: ANN401 - accelerate's trackers are untyped
    import wandb

    data = [[*row, wandb.Image(picture)] for row, picture in zip(table.rows, table.pictures, strict=True)]
    tracker.log_table(NAME, columns=[*table.columns, "picture"], data=data, step=step)


def _tensorboard(tracker: Any, table: SampleTable, step: int) -> None:  # noqa: ANN401
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    text = "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
    tracker.tracker.add_text(NAME, text, step)
    pictures = np.stack([np.asarray(picture) for picture in table.pictures])
    tracker.log_images({f"{NAME}/pictures": pictures}, step=step, dataformats="NHWC")


def _cell(cell: str | float | None) -> str:
    if isinstance(cell, str):
        return cell if cell == "---" else markdown_text(cell)
    return "" if cell is None else f"{cell:.4g}"


def _aim(tracker: Any, table: SampleTable, step: int) -> None:  # noqa: ANN401
    for place, (row, picture) in enumerate(zip(table.rows, table.pictures, strict=True)):
        caption = "\n".join(f"{name}: {cell}" for name, cell in zip(table.columns, row, strict=True))
        tracker.log_images({f"{NAME}/{place}": (picture, caption)}, step=step)


def _mlflow(tracker: Any, table: SampleTable, step: int) -> None:  # noqa: ANN401
    with TemporaryDirectory() as folder:
        lines = [dump(dict(zip(table.columns, row, strict=True))) for row in table.rows]
        (Path(folder) / f"{NAME}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for place, picture in enumerate(table.pictures):
            picture.save(Path(folder) / f"{place}.png")
        tracker.log_artifacts(folder, artifact_path=f"{NAME}/step-{step:06}")


def _comet(tracker: Any, table: SampleTable, step: int) -> None:  # noqa: ANN401
    experiment = tracker.tracker
    experiment.log_table(f"{NAME}-{step:06}.csv", tabular_data=[*table.rows], headers=[*table.columns])
    for place, picture in enumerate(table.pictures):
        experiment.log_image(picture, name=f"{NAME}/{place}", step=step)


_WRITERS: dict[str, Callable[[Any, SampleTable, int], None]] = {
    "wandb": _wandb, "tensorboard": _tensorboard, "aim": _aim, "mlflow": _mlflow, "comet_ml": _comet,
}  # fmt: skip
