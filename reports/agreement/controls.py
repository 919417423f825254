"""Controls: items whose answer is known, so that a rater's answers to them are right or wrong.

They come from a file of JSON lines, with pictures relative to it:

    {"prompt": "two cats", "image": "one_cat.png", "answers": {"prompt_image": [0, 4]}}
    {"prompt": "a red ball", "image": "red.png", "other_image": "blue.png", "answers": {"preference": "first"}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gotr1_eval.core.errors import DataError
from gotr1_eval.files.jsonl import read_rows
from reports.agreement.study_folder import PREFERENCE, Dimension, Item

SIDES: Mapping[str, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
Mark = Annotated[float, Field(allow_inf_nan=False)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    chain: str | None = None
    image: str | None = None
    other_image: str | None = None
    answers: Annotated[dict[str, Mark | tuple[Mark, Mark] | Literal["first", "tie", "second"]], Field(min_length=1)]


def read_controls(path: Path, dimensions: Sequence[Dimension]) -> list[Item]:
    """The controls of a file; their pictures are named by absolute paths.

    Raises:
        DataError: a line is no control, its picture is missing, it does not show what a dimension needs, or its answer
            is none of the dimension's marks.
    """
    known = {dimension.name: dimension for dimension in dimensions}
    found = [_control(row, number, path, known) for number, row in read_rows(path)]
    if not found:
        raise DataError("no control in it; a line is {prompt, image, answers}", path=path)
    return found


def _control(fields: Mapping[str, Any], number: int, path: Path, known: Mapping[str, Dimension]) -> Item:
    try:
        row = _Row.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][:2]))
        raise DataError(f"not a control: {where}: {first['msg']}", path=path, line=number) from None
    for name in (row.image, row.other_image):
        if name is not None and not (path.parent / name).is_file():
            raise DataError(f"the picture {name} is not there", path=path, line=number)
    name = f"control/{number}"
    pair = (f"{name}/first", f"{name}/second") if row.other_image is not None else None
    if pair is not None and row.image is None:
        raise DataError("other_image without image", path=path, line=number)
    answers = dict(_answers(row, pair is not None, known, path, number))
    return Item(
        item=name,
        prompt=row.prompt,
        chain=row.chain,
        image=None if row.image is None else str((path.parent / row.image).resolve()),
        other_image=None if row.other_image is None else str((path.parent / row.other_image).resolve()),
        pair=pair,
        category="control",
        cluster=name,
        control=answers,
    )


def _answers(
    row: _Row, pair: bool, known: Mapping[str, Dimension], path: Path, number: int
) -> Iterator[tuple[str, tuple[float, float]]]:
    for name, answer in row.answers.items():
        dimension = known.get(name)
        if dimension is None:
            raise DataError(f"the study asks no {name!r} (it asks {', '.join(known)})", path=path, line=number)
        if not dimension.shown_by(chain=row.chain is not None, image=row.image is not None, pair=pair):
            raise DataError(
                f"{name} needs {' and '.join(dimension.needs)}, which it does not show", path=path, line=number
            )
        yield name, _range(answer, dimension, path, number)


def _range(
    answer: float | tuple[float, float] | str, dimension: Dimension, path: Path, number: int
) -> tuple[float, float]:
    """The lowest and the highest right mark."""
    if isinstance(answer, str):
        if dimension.name != PREFERENCE:
            raise DataError(f"{dimension.name} is answered by a mark, not by {answer!r}", path=path, line=number)
        answer = SIDES[answer]
    low, high = answer if isinstance(answer, tuple) else (answer, answer)
    if not any(low <= mark <= high for mark in dimension.marks()):
        marks = f"{dimension.low:g} to {dimension.high:g}"
        raise DataError(f"no mark of {dimension.name} ({marks}) lies in {low:g} to {high:g}", path=path, line=number)
    return low, high
