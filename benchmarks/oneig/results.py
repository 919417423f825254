"""OneIG-Bench's result tables, read back: a row a prompt, a column a model.

``alignment_prompt_score_*.csv`` holds numbers by ``<class>_<id>``; ``text_prompt_score_*.csv`` holds ``[edit distance,
exactness, ratio]`` by id, which are means over a prompt's pictures: its totals here are means over prompts, and the
official word accuracy, a sum over a sum, cannot be had from it.
"""

from __future__ import annotations

import ast
import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.statistics.intervals import prompt_bootstrap
from gotr1_eval.core.types import Json

_TEXT_COLUMNS = ("edit_distance", "completion_rate", "word_accuracy")


@dataclass(frozen=True, slots=True)
class PromptScores:
    """The scores of one model: prompt -> its numbers, one of alignment or three of text; None where there is none."""

    model: str
    values: Mapping[str, tuple[float, ...] | None]

    @property
    def known(self) -> dict[str, tuple[float, ...]]:
        """Those that there are."""
        return {name: value for name, value in self.values.items() if value is not None}


def read_table(path: Path) -> list[PromptScores]:
    """The models of a table of prompts.

    Raises:
        DataError: it is another file; a table of totals has nothing to add up.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"cannot be read: {one_line(error)}", path=path) from None
    if header[0] or len(header) < 2 or {"ED", "alignment"} & {*header}:
        raise DataError(
            "expected alignment_prompt_score_*.csv or text_prompt_score_*.csv of OneIG-Bench, a row a prompt and a "
            "column a model",
            path=path,
        )
    models = []
    for column, model in enumerate(header[1:], start=1):
        values = {row[0]: _cell(row[column], path, line) for line, row in enumerate(rows, start=2)}
        models.append(PromptScores(model, values))
    return models


def _cell(text: str, path: Path, line: int) -> tuple[float, ...] | None:
    if not text.strip() or text == "nan":
        return None
    try:
        found = ast.literal_eval(text)
        values = tuple(map(float, found)) if isinstance(found, list) else (float(found),)
    except (ValueError, SyntaxError, TypeError):
        values = ()
    if len(values) not in (1, len(_TEXT_COLUMNS)):
        raise DataError(f"expected a number, or a list of three, got {one_line(text, 60)!r}", path=path, line=line)
    return values


def sum_up_model(scores: PromptScores) -> tuple[dict[str, Json], str]:
    """A model's means over prompts with intervals, as JSON and in words; of alignment also by class."""
    known = scores.known
    if not known:
        return {"prompts": 0}, "no prompt has a score"
    count = len(next(iter(known.values())))
    if count == 1:
        found: dict[str, Json] = {"alignment": _mean([value[0] for value in known.values()]), "prompts": len(known)}
        by_class: dict[str, list[float]] = {}
        for name, value in known.items():
            by_class.setdefault(name.rpartition("_")[0], []).append(value[0])
        found["classes"] = {name: {"alignment": _mean(each), "prompts": len(each)} for name, each in by_class.items()}
        return (
            found,
            f"alignment {statistics.fmean(value[0] for value in known.values()):.4f} over {len(known)} prompts",
        )
    means = {name: _mean([value[place] for value in known.values()]) for place, name in enumerate(_TEXT_COLUMNS)}
    told = ", ".join(
        f"{name.replace('_', ' ')} {statistics.fmean(value[place] for value in known.values()):.4f}"
        for place, name in enumerate(_TEXT_COLUMNS)
    )
    return {**means, "prompts": len(known)}, f"{told} over {len(known)} prompts, each counting alike"


def _mean(values: Sequence[float]) -> Json:
    return {"mean": statistics.fmean(values), "interval": [*prompt_bootstrap([[value] for value in values])]}
