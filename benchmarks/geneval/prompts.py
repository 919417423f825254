"""GenEval's prompts: what each asks for, as ``evaluation_metadata.jsonl`` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.coco import NAMES as CLASSES
from gotr1_eval.core.coco import full_name
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.facts import object_fact
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import read_rows

__all__ = ["CLASSES", "COLOURS", "FACTS", "TAGS", "Clause", "Task", "read_task", "read_tasks", "row_of"]

FACTS = "geneval"
"""The fact of a prompt (a key of `Sample.meta`) that is its row."""
TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
"""The six tasks, in the order of the published tables' sources."""
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")


@dataclass(frozen=True, slots=True)
class Clause:
    """Part of what a prompt asks for.

    Attributes:
        name: the class, under GenEval's name where COCO has another.
        count: at least so many; of an excluded one fewer than that.
        colour: that so many must have, None for any.
        position: (relation, index of the clause whose objects it holds to), None for any.
    """

    name: str
    count: int
    colour: str | None = None
    position: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt, its tag, and its clauses; `row` is the file's own row."""

    tag: str
    prompt: str
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...]
    row: Mapping[str, Json]


def row_of(sample: Sample) -> dict[str, Json] | None:
    """The sample's row of the metadata, None for prompts of other benchmarks."""
    return object_fact(sample, FACTS)


def read_tasks(path: Path) -> list[Task]:
    """The prompts of a metadata file, in order.

    Raises:
        DataError: the file cannot be read, or a line is no prompt of GenEval's.
    """
    tasks = []
    for number, row in read_rows(path, ours=False):
        try:
            tasks.append(read_task(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a prompt of GenEval ({error!r})", path=path, line=number) from None
    if not tasks:
        raise DataError("no prompt in this file", path=path)
    return tasks


def read_task(row: Mapping[str, Any]) -> Task:
    """The task that a row of the metadata states.

    Raises:
        KeyError, TypeError, ValueError: it states none.
    """
    include, exclude = (tuple(_clause(part) for part in row.get(key) or ()) for key in ("include", "exclude"))
    for clause in include:
        if clause.position is not None and not 0 <= clause.position[1] < len(include):
            raise ValueError(f"position of {clause.name!r} refers to clause {clause.position[1]}, which is not there")
    return Task(str(row["tag"]), str(row["prompt"]), include, exclude, dict(row))


def _clause(part: Mapping[str, Any]) -> Clause:
    relation = part.get("position")
    position = None if relation is None else (str(relation[0]), int(relation[1]))
    colour = part.get("color")
    return Clause(full_name(str(part["class"])), int(part["count"]), None if colour is None else str(colour), position)
