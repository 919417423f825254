"""The page of a training run: its curves, and its held-out evaluations as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError
from gotr1_eval.files.writing import write_atomically
from reports import shell
from reports.run_page.curves import METRICS, HeldOut, held_out_means, training_curves

SETTINGS = "training.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row of the table: the means after so many steps, by factor."""

    step: int
    cells: dict[str, HeldOut]


def is_training(folder: Path) -> bool:
    """Whether the folder holds a training run and not a benchmark's."""
    return (folder / SETTINGS).exists() and not (folder / "run.json").exists()


def write_training_page(folder: Path) -> Path:
    """Write report.html into the folder of a training run, and return where it is.

    Raises:
        DataError: its settings or metrics cannot be read, or no step is done yet.
    """
    if not (folder / METRICS).exists():
        raise DataError("no step is done yet, so there is nothing to show", path=folder / METRICS)
    by_factor = held_out_means(folder)
    steps = sorted({int(dot.step) for dots in by_factor.values() for dot in dots})
    rows = [
        Evaluation(step, {factor: dot for factor, dots in by_factor.items() for dot in dots if dot.step == step})
        for step in steps
    ]
    settings = _settings(folder / SETTINGS)
    text = shell.render(
        "training.html",
        styles=["run.css"],
        title=folder.absolute().name,
        settings=settings,
        curves=training_curves(folder),
        factors=sorted(by_factor, key=lambda factor: factor != "total"),
        evaluations=rows,
        shapes=settings.get("ckpt") == "tiny-janus",
    )
    path = folder / "report.html"
    write_atomically(path, text)
    return path


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"expected the settings of a training run as JSON, got something else ({error})", path=path
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"expected a JSON object, got {type(found).__name__}", path=path)
    return found
