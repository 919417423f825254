"""From a cell to marks, as a mapping says; from the answers of GenEval's human study to a verdict as well."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reports.agreement.foreign_tables.mapping import ObjectsRule, Pair, Reduction, Value
from reports.agreement.foreign_tables.rows import Row
from reports.agreement.marks import Mark

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")
TOLERANCE = 1e-6
"""Share of a scale by which rounding may push a value over its end; such a value is put on the end."""
_ANSWERS = {"left of": "left", "right of": "right", "above": "above", "below": "below"}


@dataclass(frozen=True, slots=True)
class CellContent:
    """What a cell holds.

    Attributes:
        part: which part of the item was marked; empty for the item itself.
        rater: number of the rater within the cell, None where the row names who it was.
        mark: None where nothing was said.
        fault: why a value was left out; empty where none was.
        unreadable: whether it was left out because the cell holds something else than the mapping says.
        clipped: whether the value was put on the end of its scale.
    """

    part: str
    rater: int | None
    mark: Mark | None
    fault: str = ""
    unreadable: bool = False
    clipped: bool = False


class UnreadableCellError(ValueError):
    """A cell holds something else than the mapping says; the message says what was expected and what came."""


def read_marks(spec: Value, row: Row, missing: Sequence[str]) -> Iterator[CellContent]:
    """The marks of a row's cell or cells; one that cannot be read is left out, and its fault says why.

    Raises:
        DataError: a column is absent; names file and line.
    """
    if spec.rule is not None:
        verdict = answers_hold(spec.rule, row)
        yield CellContent("", None, float(verdict))
        return
    for column in spec.column:
        part = column if len(spec.column) > 1 else ""
        cell = row.cell(column)
        try:
            found = (
                [CellContent(part, None, None)]
                if _is_missing(cell, missing)
                else [CellContent(part, None, _same(cell, row.cell(spec.equals)))]
                if spec.equals
                else _read_cell(spec, part, column, cell)
            )
        except UnreadableCellError as error:
            found = [CellContent(part, None, None, fault=str(error), unreadable=True)]
        yield from found


def _read_cell(spec: Value, part: str, column: str, cell: Any) -> list[CellContent]:  # noqa: ANN401 (a foreign cell)
    if spec.members:
        chosen = _words(spec, column, cell)
        return [CellContent(f"{part}/{word}", None, float(word in chosen)) for word in spec.members]
    if spec.raters:
        numbers = [_number(spec, column, one) for one in _elements(column, cell)]
        return [_scaled(spec, part, rater, number) for rater, number in enumerate(numbers)]
    return [_scaled(spec, part, None, _mark(spec, column, cell))]


def _same(cell: object, other: object) -> float:
    """1 where both hold the same word, else 0."""
    one, two = (str(each).strip().casefold() for each in (cell, other))
    return float(one == two)


def pair_name(row: Row, pair: Pair) -> str:
    """The name of a row's pair, the same whichever item was shown first."""
    return " vs ".join(sorted(_sides(row, pair)))


def read_verdict(row: Row, pair: Pair, missing: Sequence[str]) -> CellContent:
    """Who won, as `Pair` says; a word that means nobody is left out."""
    if pair.scores:
        return _by_scores(row, pair, missing)
    cell = row.cell(pair.verdict)
    if _is_missing(cell, missing):
        return CellContent("", None, None)
    first, second = _sides(row, pair)
    word = str(cell).strip()
    if word in (first, second):
        won = float(word == first)
    elif word.casefold() in pair.ties:
        won = 0.5
    elif word.casefold() in (*pair.wins, *pair.loses):
        won = float(word.casefold() in pair.wins)
    else:
        known = ", ".join((*pair.wins, *pair.loses, *pair.ties))
        fault = f"expected the better item or one of {known} under {pair.verdict!r}, got {word!r}"
        return CellContent("", None, None, fault=fault, unreadable=True)
    return CellContent("", None, won if first <= second else 1.0 - won)


def _by_scores(row: Row, pair: Pair, missing: Sequence[str]) -> CellContent:
    """The item with the greater score; equal ones are a tie, and without both scores nothing was said."""
    cells = [row.cell(column) for column in pair.scores]
    if any(_is_missing(cell, missing) for cell in cells):
        return CellContent("", None, None)
    try:
        numbers = [_number(Value(), column, cell) for column, cell in zip(pair.scores, cells, strict=True)]
    except UnreadableCellError as error:
        return CellContent("", None, None, fault=str(error), unreadable=True)
    first, second = _sides(row, pair)
    won = 0.5 if numbers[0] == numbers[1] else float(numbers[0] > numbers[1])
    return CellContent("", None, won if first <= second else 1.0 - won)


def _sides(row: Row, pair: Pair) -> tuple[str, str]:
    """The names of the two items, as they were shown."""
    first, second = (str(row.cell(column) or "").strip() for column in (pair.first, pair.second))
    if not first or not second or first == second:
        raise row.fault(f"expected two items under {pair.first} and {pair.second}, got {first!r} and {second!r}")
    return first, second


def reduce(numbers: Sequence[float], by: Reduction) -> float:
    """One number for several; a geometric mean needs numbers that are not negative."""
    if by == "geometric_mean":
        return float(math.prod(numbers) ** (1.0 / len(numbers)))
    if by == "mean":
        return statistics.fmean(numbers)
    return min(numbers) if by == "min" else max(numbers)


def _is_missing(cell: object, missing: Sequence[str]) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip() in missing)


def _mark(spec: Value, column: str, cell: Any) -> Mark:  # noqa: ANN401 (a foreign cell)
    if spec.split:
        return spec.split.join(sorted(_words(spec, column, cell)))
    if spec.text:
        return str(cell).strip()
    if spec.element is None and spec.over is None:
        return _number(spec, column, cell)
    elements = _elements(column, cell)
    if spec.element is not None:
        if spec.element >= len(elements):
            raise UnreadableCellError(f"expected more than {spec.element} values under {column!r}, got {cell!r}")
        return _number(spec, column, elements[spec.element])
    return reduce([_number(spec, column, one) for one in elements], spec.over or "mean")


def _elements(column: str, cell: Any) -> list[Any]:  # noqa: ANN401 (a foreign cell)
    """The values of a list cell. In text files it is written as JSON, or as numbers beside each other ("8 9", "8, 9");
    a number alone is a list of one."""
    values: Any = cell
    if isinstance(cell, str):
        try:
            values = json.loads(cell)
        except ValueError:
            values = _BETWEEN.split(cell.strip())
    if isinstance(values, int | float) and not isinstance(values, bool):
        return [values]
    plain = isinstance(values, list) and all(isinstance(one, int | float | str) for one in values)
    if not plain or not values or (values is not cell and not all(_NUMBER.fullmatch(str(one)) for one in values)):
        raise UnreadableCellError(
            f"expected a list such as [1, 0.5], or numbers such as '8 9', under {column!r}, got {cell!r}"
        )
    return list(values)


def _words(spec: Value, column: str, cell: Any) -> set[str]:  # noqa: ANN401 (a foreign cell)
    if not isinstance(cell, str):
        raise UnreadableCellError(f"expected words with {spec.split!r} between them under {column!r}, got {cell!r}")
    return {word.strip() for word in cell.split(spec.split or "|")}


def _number(spec: Value, column: str, cell: Any) -> float:  # noqa: ANN401 (a foreign cell)
    text = str(cell).strip()
    if text in spec.labels:
        return spec.labels[text]
    if spec.other is not None:
        return spec.other
    if isinstance(cell, bool) or not _NUMBER.fullmatch(text):
        raise UnreadableCellError(
            f"expected a number under {column!r}, got {text!r}; words need `labels` or `text`, and what means nothing "
            "needs `missing`, in a --mapping"
        )
    number = float(text)
    if not math.isfinite(number):
        raise UnreadableCellError(f"expected a finite number under {column!r}, got {text!r}")
    return number


def _scaled(spec: Value, part: str, rater: int | None, mark: Mark) -> CellContent:
    if isinstance(mark, str) or (spec.low is None and spec.high is None):
        return CellContent(part, rater, mark)
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    if low <= mark <= high:
        return CellContent(part, rater, mark)
    slack = TOLERANCE * (high - low if math.isfinite(high - low) else 1.0)
    if low - slack <= mark <= high + slack:
        return CellContent(part, rater, min(max(mark, low), high), clipped=True)
    return CellContent(part, rater, None, fault=f"{mark:g} is off the scale {low:g} to {high:g}")


def answers_hold(rule: ObjectsRule, row: Row) -> bool:
    """Whether the answers of a row meet the prompt.

    Raises:
        DataError: the metadata names a relation that the form does not ask about, or a cell is no number.
    """
    include: list[dict[str, Any]] = row.cell(f"{rule.metadata}.include")
    exclude: list[dict[str, Any]] = row.cells.get(f"{rule.metadata}.exclude") or []
    return all(_object_holds(rule, row, place, wanted, exclude) for place, wanted in enumerate(include))


def _object_holds(
    rule: ObjectsRule, row: Row, place: int, wanted: dict[str, Any], exclude: list[dict[str, Any]]
) -> bool:
    count = _count(row, rule.count.format(place))
    ceilings = [entry["count"] for entry in exclude if entry["class"] == wanted["class"]]
    if count < wanted["count"] or any(count >= ceiling for ceiling in ceilings):
        return False
    if "color" in wanted:
        named = set(str(row.cell(rule.color.format(place))).split("|"))
        if wanted["color"] not in named or (rule.strict and named != {wanted["color"]}):
            return False
    return "position" not in wanted or _stands(rule, row, wanted["position"])


def _stands(rule: ObjectsRule, row: Row, position: list[Any]) -> bool:
    relation = position[0]
    if relation not in _ANSWERS:
        raise row.fault(f"expected a relation of {', '.join(_ANSWERS)}, got {relation!r}")
    column = rule.x if relation in ("left of", "right of") else rule.y
    return bool(row.cell(column) == _ANSWERS[relation])


def _count(row: Row, column: str) -> float:
    cell = row.cell(column)
    if cell in (None, ""):
        return 0.0
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise row.fault(f"expected a number under {column!r}, got {cell!r}") from None
