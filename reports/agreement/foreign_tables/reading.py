"""Tables of marks, read as a mapping says: ratings by people, scores by judges, answers to several questions."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from reports.agreement.foreign_tables.cells import CellContent, pair_name, read_marks, read_verdict, reduce
from reports.agreement.foreign_tables.mapping import ANY, Derived, Questions, TableMapping, Value
from reports.agreement.foreign_tables.rows import FILE, Row, table_rows, wanted
from reports.agreement.marks import ItemFacts, Marks, Unit
from reports.agreement.study_folder import PREFERENCE

ORDER = "$order"
SCORE = "score"
"""The dimension of a table of ratings that names none; one of pairs has `PREFERENCE`."""
QUESTION, PICTURE = "question", "picture"
"""The dimensions of verdicts on single questions, and of their means by picture."""
Role = Literal["rater", "judge"]


def read_table(files: Sequence[Path], mapping: TableMapping, role: Role, folder: Path) -> Marks:
    """The marks of some files of one shape.

    Args:
        files: in place of those that the mapping names.
        role: names the column of who marked where the mapping does not.
        folder: what the mapping's own paths are relative to.

    Raises:
        DataError: a file, column, row or cell is not as the mapping says, or somebody marked one thing twice.
        UsageError: the mapping contradicts itself.
    """
    rows = table_rows(files, mapping, folder)
    mapping = _completed(mapping, role, rows[0] if rows else None)
    kept = [row for row in rows if wanted(row, mapping)]
    marks = Marks()
    marks.counts["rows"] = len(kept)
    marks.counts["rows passed over by `where`"] = len(rows) - len(kept)
    orders: Counter[str] = Counter()
    said = [one for row in kept for one in _said(row, mapping, marks.items, orders)]
    for one in aggregated(said, mapping.questions, marks.counts) if mapping.aggregate else said:
        _keep(one, marks, role)
    if said and all(one.found.unreadable for one in said):
        raise said[0].row.fault(f"{said[0].found.fault} (none of the {len(said)} values can be read)")
    if mapping.picture:
        _add_pictures(said, mapping, marks)
    if mapping.complete:
        _drop_incomplete(marks)
    for name, derived in mapping.derived.items():
        _derive(name, derived, marks)
    return marks


def _completed(mapping: TableMapping, role: Role, first: Row | None) -> TableMapping:
    """The mapping with the columns of the plain long table where it names none."""
    columns = first.cells if first else {}
    changes: dict[str, Any] = {}
    if not (mapping.value or mapping.values or mapping.judges or mapping.pair):
        plain = Value(column=("value",))
        if mapping.dimension or "dimension" in columns or role == "judge":
            changes["value"] = plain
        else:
            changes["values"] = {SCORE: plain}
        for column in ("dimension", "prompt", "category", "system", "repeat", "inclusion_probability", "stratum"):
            if not getattr(mapping, column) and column in columns:
                changes[column] = (column,) if column in ("prompt", "system") else column
    named = mapping.by or mapping.name or mapping.judges
    if not named and not any(spec.raters for spec in mapping.values.values()):
        changes["by"] = role if role in columns or role == "rater" else FILE
    return mapping.model_copy(update=changes)


def _said(row: Row, mapping: TableMapping, items: dict[str, ItemFacts], orders: Counter[str]) -> Iterator[Said]:
    item = pair_name(row, mapping.pair) if mapping.pair else _name(row, mapping.item)
    facts = _facts(row, mapping)
    if items.setdefault(item, facts) != facts:
        raise row.fault(f"item {item!r} stands for another prompt, category or chance here than in an earlier row")
    who = _who(row, mapping, item, orders)
    repeat = _repeat(row, mapping.repeat)
    if mapping.pair is not None:
        dimension = _name(row, (mapping.dimension,)) if mapping.dimension else PREFERENCE
        yield Said(row, dimension, Unit(item), who, repeat, read_verdict(row, mapping.pair, mapping.missing))
    for dimension, judge, spec in _readings(row, mapping):
        for found in read_marks(spec, row, mapping.missing):
            by = judge or who if found.rater is None else f"rater {found.rater}"
            yield Said(row, dimension, Unit(item, found.part), by, repeat, found)


def _facts(row: Row, mapping: TableMapping) -> ItemFacts:
    return ItemFacts(
        prompt=_name(row, mapping.prompt) if mapping.prompt else None,
        category=_name(row, (mapping.category,)) if mapping.category else None,
        weight=1.0 / _chance(row, mapping.inclusion_probability) if mapping.inclusion_probability else None,
        stratum=_name(row, (mapping.stratum,)) if mapping.stratum else None,
        system=_name(row, mapping.system) if mapping.system else None,
    )


def _chance(row: Row, column: str) -> float:
    text = str(row.cell(column)).strip()
    try:
        chance = float(text)
    except ValueError:
        chance = math.nan
    if not 0.0 < chance <= 1.0:
        raise row.fault(f"expected a probability above 0 and up to 1 under {column!r}, got {text!r}")
    return chance


def _name(row: Row, columns: Sequence[str]) -> str:
    parts = ["" if row.cell(column) is None else str(row.cell(column)).strip() for column in columns]
    if not all(parts):
        raise row.fault(f"expected a name under {', '.join(columns)}, got nothing")
    return "/".join(parts)


def _who(row: Row, mapping: TableMapping, item: str, orders: Counter[str]) -> str:
    if mapping.by is None:
        return mapping.name or ""
    if mapping.by == ORDER:
        orders[item] += 1
        return f"rater {orders[item] - 1}"
    return _name(row, (mapping.by,))


def _repeat(row: Row, column: str | None) -> int:
    if column is None:
        return 0
    text = str(row.cell(column)).strip()
    if not text.isdigit():
        raise row.fault(f"expected the number of a repeat under {column!r}, got {text!r}")
    return int(text)


def _readings(row: Row, mapping: TableMapping) -> Iterator[tuple[str, str, Value]]:
    """(dimension, judge or "", how to read it)."""
    if mapping.value is not None:
        usual = QUESTION if mapping.picture else ANY
        yield (_name(row, (mapping.dimension,)) if mapping.dimension else usual), "", mapping.value
    yield from ((dimension, "", spec) for dimension, spec in mapping.values.items())
    yield from ((ANY, judge, spec) for judge, spec in mapping.judges.items())


def _keep(one: Said, marks: Marks, role: Role) -> None:
    found, item = one.found, one.unit.item
    marks.counts["values put on the end of their scale"] += found.clipped
    marks.counts["values that could not be read, left out"] += found.unreadable
    if found.fault:
        marks.left_out.append(f"{one.row.path}:{one.row.line}: {one.who}, {one.dimension}: {found.fault}")
    if found.mark is None:
        if role == "judge":
            marks.miss(one.dimension, one.who, item, "unreadable" if found.unreadable else found.fault or "no value")
        return
    if not marks.add(one.dimension, one.unit, one.who, found.mark, one.repeat):
        hint = "; several rows of one item need `aggregate`" if role == "judge" else ""
        raise one.row.fault(f"{role} {one.who!r} marked item {item!r} on {one.dimension!r} before{hint}")


def _add_pictures(said: Sequence[Said], mapping: TableMapping, marks: Marks) -> None:
    """The mean of a picture's verdicts, by rater or judge; a question without an answer does not count in it."""
    pictures: dict[tuple[str, str], list[float]] = {}
    for one in said:
        if one.repeat == 0 and isinstance(one.found.mark, float):
            picture = _name(one.row, mapping.picture)
            pictures.setdefault((picture, one.who), []).append(one.found.mark)
            marks.learn(picture, marks.items[one.unit.item])
    for (picture, who), verdicts in pictures.items():
        marks.add(PICTURE, Unit(picture), who, statistics.fmean(verdicts))


def _drop_incomplete(marks: Marks) -> None:
    """Take away everybody's marks of items that they did not mark on all of the table's dimensions."""
    dimensions = list(marks.values)
    for name in dict.fromkeys(who for _, who in marks.repeats):
        held = [{unit.item for unit in marks.repeats.get((dimension, name), {})} for dimension in dimensions]
        incomplete = {item for items in held for item in items if not all(item in others for others in held)}
        marks.counts["items left out because a dimension is missing"] += len(incomplete)
        for dimension in dimensions:
            marks.withdraw(dimension, name, incomplete)


def _derive(name: str, derived: Derived, marks: Marks) -> None:
    for dimension, who in list(marks.unscored):
        if dimension in derived.of:
            for item, why in marks.unscored[dimension, who].items():
                marks.miss(name, who, item, why)
    for unit, said in marks.values.get(derived.of[0], {}).items():
        for who in said:
            numbers = [marks.values.get(dimension, {}).get(unit, {}).get(who) for dimension in derived.of]
            known = [number for number in numbers if isinstance(number, float)]
            if len(known) == len(derived.of):
                marks.add(name, unit, who, reduce(known, derived.by))


@dataclass(frozen=True, slots=True)
class Said:
    """One value of a row, and who said it about what."""

    row: Row
    dimension: str
    unit: Unit
    who: str
    repeat: int
    found: CellContent


def aggregated(said: Sequence[Said], questions: Questions | None, counts: Counter[str]) -> list[Said]:
    """The mean of the rows of each item, judge and repeat; rows without a value do not count.

    Args:
        counts: is told how many rows have no value, and how many parents are no question of their item.
    """
    groups: dict[tuple[str, Unit, str, int], list[Said]] = {}
    for one in said:
        groups.setdefault((one.dimension, one.unit, one.who, one.repeat), []).append(one)
    found = []
    for group in groups.values():
        numbers = _with_parents(group, questions, counts) if questions else [one.found.mark for one in group]
        counts["rows without an answer, which count neither way"] += sum(one.found.mark is None for one in group)
        kept = [number for number in numbers if isinstance(number, float)]
        mean = statistics.fmean(kept) if kept else None
        found.append(replace(group[0], found=replace(group[0].found, mark=mean)))
    return found


def _with_parents(group: Sequence[Said], questions: Questions, counts: Counter[str]) -> list[float | None]:
    """Answers in which a question with a parent that was answered with no counts 0 (Cho et al., DSG, 2024).

    A parent that is not among the item's questions denies nothing, as in the published tables.
    """
    answers = {str(one.row.cell(questions.id)).strip(): one.found.mark for one in group}
    # A question that nobody answered was not answered with no, and denies nothing either.
    denied = {name for name, answer in answers.items() if isinstance(answer, float) and answer <= 0}
    numbers: list[float | None] = []
    for one in group:
        cell = one.row.cell(questions.parents)
        parents = {name.strip() for name in ("" if cell is None else str(cell)).split(",")} - {questions.none, ""}
        counts["parents that are no question of their item"] += len(parents - answers.keys())
        mark = one.found.mark
        numbers.append((0.0 if parents & denied else mark) if isinstance(mark, float) else None)
    return numbers
