"""From a cell to marks, as a mapping says."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reports.agreement.files import Row
from reports.agreement.geneval_answers import answers_hold
from reports.agreement.mapping import Reduction, Value
from reports.agreement.marks import Mark

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
TOLERANCE = 1e-6
"""Share of a scale by which rounding may push a value over its end; such a value is put on the end."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a cell holds.

    Attributes:
        part: which part of the item was marked; empty for the item itself.
        rater: number of the rater within the cell, None where the row names who it was.
        mark: None where nothing was said.
        fault: why a value was left out; empty where none was.
        clipped: whether the value was put on the end of its scale.
    """

    part: str
    rater: int | None
    mark: Mark | None
    fault: str = ""
    clipped: bool = False


def read_marks(spec: Value, row: Row, missing: Sequence[str]) -> Iterator[Found]:
    """The marks of a row's cell or cells.

    Raises:
        DataError: a column is absent, or a cell holds something else than the mapping says; names file and line.
    """
    if spec.rule is not None:
        verdict = answers_hold(spec.rule, row)
        yield Found("", None, float(verdict))
        return
    for column in spec.column:
        part = column if len(spec.column) > 1 else ""
        cell = row.cell(column)
        if _is_missing(cell, missing):
            yield Found(part, None, None)
        elif spec.members:
            chosen = _words(spec, row, column, cell)
            yield from (Found(f"{part}/{word}", None, float(word in chosen)) for word in spec.members)
        elif spec.raters:
            marks = enumerate(_elements(row, column, cell))
            yield from (_scaled(spec, part, rater, _number(spec, row, column, one)) for rater, one in marks)
        else:
            yield _scaled(spec, part, None, _mark(spec, row, column, cell))


def reduce(numbers: Sequence[float], by: Reduction) -> float:
    """One number for several; a geometric mean needs numbers that are not negative."""
    if by == "geometric_mean":
        return float(math.prod(numbers) ** (1.0 / len(numbers)))
    if by == "mean":
        return statistics.fmean(numbers)
    return min(numbers) if by == "min" else max(numbers)


def _is_missing(cell: object, missing: Sequence[str]) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip() in missing)


def _mark(spec: Value, row: Row, column: str, cell: Any) -> Mark:  # noqa: ANN401 (a foreign cell)
    if spec.split:
        return spec.split.join(sorted(_words(spec, row, column, cell)))
    if spec.text:
        return str(cell).strip()
    if spec.element is None and spec.over is None:
        return _number(spec, row, column, cell)
    elements = _elements(row, column, cell)
    if spec.element is not None:
        if spec.element >= len(elements):
            raise row.fault(f"expected more than {spec.element} values under {column!r}, got {cell!r}")
        return _number(spec, row, column, elements[spec.element])
    return reduce([_number(spec, row, column, one) for one in elements], spec.over or "mean")


def _elements(row: Row, column: str, cell: Any) -> list[Any]:  # noqa: ANN401 (a foreign cell)
    """The values of a list cell; in text files it is written as JSON."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except ValueError:
            raise row.fault(f"expected a list such as [1, 0.5] under {column!r}, got {cell!r}") from None
    if not isinstance(cell, list) or not cell:
        raise row.fault(f"expected a list such as [1, 0.5] under {column!r}, got {cell!r}")
    return cell


def _words(spec: Value, row: Row, column: str, cell: Any) -> set[str]:  # noqa: ANN401 (a foreign cell)
    if not isinstance(cell, str):
        raise row.fault(f"expected words with {spec.split!r} between them under {column!r}, got {cell!r}")
    return {word.strip() for word in cell.split(spec.split or "|")}


def _number(spec: Value, row: Row, column: str, cell: Any) -> float:  # noqa: ANN401 (a foreign cell)
    text = str(cell).strip()
    if text in spec.labels:
        return spec.labels[text]
    if spec.other is not None:
        return spec.other
    if isinstance(cell, bool) or not _NUMBER.fullmatch(text):
        raise row.fault(
            f"expected a number under {column!r}, got {text!r}; words need `labels` or `text`, and what means nothing "
            "needs `missing`, in a --mapping"
        )
    number = float(text)
    if not math.isfinite(number):
        raise row.fault(f"expected a finite number under {column!r}, got {text!r}")
    return number


def _scaled(spec: Value, part: str, rater: int | None, mark: Mark) -> Found:
    if isinstance(mark, str) or (spec.low is None and spec.high is None):
        return Found(part, rater, mark)
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    if low <= mark <= high:
        return Found(part, rater, mark)
    slack = TOLERANCE * (high - low if math.isfinite(high - low) else 1.0)
    if low - slack <= mark <= high + slack:
        return Found(part, rater, min(max(mark, low), high), clipped=True)
    return Found(part, rater, None, fault=f"{mark:g} is off the scale {low:g} to {high:g}")
