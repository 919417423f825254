"""Tables of marks, read as a mapping says: ratings by people, scores by judges."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gotr1_eval.core.errors import UsageError
from reports.agreement.files import FILE, Row, read_file
from reports.agreement.mapping import ANY, Questions, Reduction, TableMapping, Value
from reports.agreement.marks import ItemFacts, Marks, Unit
from reports.agreement.values import Found, read_marks, reduce

ORDER, COLUMN, CELL = "$order", "$column", "$cell"
Role = Literal["rater", "judge"]


@dataclass(frozen=True, slots=True)
class _Said:
    """One value of a row, before several rows are made one."""

    row: Row
    dimension: str
    unit: Unit
    who: str
    repeat: int
    found: Found


def read_table(files: Sequence[Path], mapping: TableMapping, role: Role, folder: Path) -> Marks:
    """The marks of some files of one shape.

    Args:
        role: names the column of who marked where the mapping does not.
        folder: what the mapping's own paths are relative to.

    Raises:
        DataError: a file, column, row or cell is not as the mapping says, or somebody marked one thing twice.
        UsageError: the mapping contradicts itself.
    """
    rows = _joined(_counted(_files(files, folder, mapping), mapping), mapping, folder)
    mapping = _completed(mapping, role, rows[0] if rows else None)
    marks = Marks()
    marks.counts["rows"] = len(rows)
    kept = [row for row in rows if _wanted(row, mapping)]
    marks.counts["rows passed over by `where`"] = len(rows) - len(kept)
    orders: Counter[str] = Counter()
    said = [one for row in kept for one in _said(row, mapping, marks.items, orders)]
    if mapping.aggregate:
        said = _aggregated(said, mapping.questions)
    for one in said:
        _keep(one, marks, role)
    for name, derived in mapping.derived.items():
        _derive(name, derived.of, derived.by, marks)
    return marks


def _files(files: Sequence[Path], folder: Path, mapping: TableMapping) -> list[Path]:
    found = list(files)
    for pattern in () if files else mapping.files:
        path = folder / pattern
        there = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))) if path.is_absolute() else []
        there = there or sorted(folder.glob(pattern) if not path.is_absolute() else [])
        if not there:
            raise UsageError(f"the mapping names {pattern!r}, and there is no such file under {folder}")
        found += there
    if not found:
        raise UsageError("no table to read: name a file, or `files` in the mapping")
    return found


def _counted(files: Sequence[Path], mapping: TableMapping) -> list[Row]:
    """All rows, wide ones turned into long ones."""
    rows = [row for path in files for row in read_file(path)]
    if not mapping.keep:
        return rows
    kept = {*mapping.keep}
    return [
        replace(row, cells={**{name: row.cell(name) for name in kept}, FILE: row.cells[FILE], COLUMN: name, CELL: cell})
        for row in rows
        for name, cell in row.cells.items()
        if name not in kept and not name.startswith("$")
    ]


def _joined(rows: list[Row], mapping: TableMapping, folder: Path) -> list[Row]:
    for name, join in mapping.join.items():
        there = {str(other.cell(join.on)): other for other in read_file(folder / join.file)}
        empty = {f"{name}.{column}": None for other in there.values() for column in other.cells}
        found = []
        for row in rows:
            key = str(row.cell(join.column))
            if key not in there:
                raise row.fault(f"{join.column} {key!r} is not in {join.file}")
            cells = {f"{name}.{column}": cell for column, cell in there[key].cells.items()}
            found.append(replace(row, cells=row.cells | empty | cells))
        rows = found
    return rows


def _completed(mapping: TableMapping, role: Role, first: Row | None) -> TableMapping:
    """The mapping with the columns of the plain long table where it names none."""
    columns = first.cells if first else {}
    changes: dict[str, Any] = {}
    if not (mapping.value or mapping.values or mapping.judges):
        changes["value"] = Value(column=("value",))
        if mapping.dimension is None and "dimension" in columns:
            changes["dimension"] = "dimension"
        elif mapping.dimension is None and role == "rater":
            changes |= {"value": None, "values": {"score": changes["value"]}}
    if mapping.by is None and mapping.name is None and not mapping.judges:
        if role == "rater" or role in columns:
            changes["by"] = role
        else:
            changes["by"] = FILE
    for column in ("prompt", "category", "repeat"):
        if not getattr(mapping, column) and column in columns and role == "judge":
            changes[column] = (column,) if column == "prompt" else column
    return mapping.model_copy(update=changes)


def _wanted(row: Row, mapping: TableMapping) -> bool:
    for column, allowed in mapping.where.items():
        words = {str(one) for one in (allowed if isinstance(allowed, tuple) else (allowed,))}
        if str(row.cell(column)) not in words:
            return False
    return True


def _said(row: Row, mapping: TableMapping, items: dict[str, ItemFacts], orders: Counter[str]) -> Iterator[_Said]:
    item = _name(row, mapping.item)
    prompt = _name(row, mapping.prompt) if mapping.prompt else item
    category = str(row.cell(mapping.category)) if mapping.category else "all"
    facts = ItemFacts(prompt, category or "all")
    if items.setdefault(item, facts) != facts:
        known = items[item]
        raise row.fault(
            f"item {item!r} had prompt {known.prompt!r} and category {known.category!r} before, now {prompt!r} "
            f"and {category!r}"
        )
    who = _who(row, mapping, item, orders)
    repeat = _repeat(row, mapping.repeat)
    for dimension, judge, spec in _readings(row, mapping):
        for found in read_marks(spec, row, mapping.missing):
            by = judge or who if found.rater is None else f"rater {found.rater}"
            yield _Said(row, dimension, Unit(item, found.part), by, repeat, found)


def _name(row: Row, columns: Sequence[str]) -> str:
    parts = [str(row.cell(column)).strip() for column in columns]
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
        yield (str(row.cell(mapping.dimension)) if mapping.dimension else ANY), "", mapping.value
    yield from ((dimension, "", spec) for dimension, spec in mapping.values.items())
    yield from ((ANY, judge, spec) for judge, spec in mapping.judges.items())


def _aggregated(said: Sequence[_Said], questions: Questions | None) -> list[_Said]:
    """The mean of the rows of each item and judge; rows without a value do not count."""
    groups: dict[tuple[str, Unit, str, int], list[_Said]] = {}
    for one in said:
        groups.setdefault((one.dimension, one.unit, one.who, one.repeat), []).append(one)
    found = []
    for group in groups.values():
        numbers = _with_parents(group, questions) if questions else [one.found.mark for one in group]
        kept = [number for number in numbers if isinstance(number, float)]
        mean = statistics.fmean(kept) if kept else None
        found.append(replace(group[0], found=replace(group[0].found, mark=mean)))
    return found


def _with_parents(group: Sequence[_Said], questions: Questions) -> list[float | None]:
    """Answers in which a question whose parent was not answered with yes counts 0 (Cho et al., DSG, 2024)."""
    answers = {str(one.row.cell(questions.id)).strip(): one.found.mark for one in group}
    numbers: list[float | None] = []
    for one in group:
        parents = [name.strip() for name in str(one.row.cell(questions.parents)).split(",")]
        asked = [answers.get(name) for name in parents if name not in ("", questions.none)]
        mark = one.found.mark
        held = all(isinstance(answer, float) and answer > 0 for answer in asked)
        numbers.append((mark if held else 0.0) if isinstance(mark, float) else None)
    return numbers


def _keep(one: _Said, marks: Marks, role: Role) -> None:
    found, item = one.found, one.unit.item
    marks.counts["values put on the end of their scale"] += found.clipped
    if found.fault:
        marks.left_out.append(f"{one.row.path}:{one.row.line}: {one.who}, {one.dimension}: {found.fault}")
    if found.mark is None:
        if role == "judge":
            marks.miss(one.dimension, one.who, item, found.fault or "no value")
        return
    if isinstance(found.mark, float) and not math.isfinite(found.mark):
        raise one.row.fault(f"expected a finite number, got {found.mark}")
    if not marks.add(one.dimension, one.unit, one.who, found.mark, one.repeat):
        hint = "; several rows of one item need `aggregate`" if role == "judge" else ""
        raise one.row.fault(f"{role} {one.who!r} marked item {item!r} on {one.dimension!r} before{hint}")


def _derive(name: str, of: Sequence[str], by: Reduction, marks: Marks) -> None:
    for dimension, who in list(marks.unscored):
        if dimension in of:
            for item, why in marks.unscored[dimension, who].items():
                marks.miss(name, who, item, why)
    for unit, said in marks.values.get(of[0], {}).items():
        for who in said:
            numbers = [marks.values.get(dimension, {}).get(unit, {}).get(who) for dimension in of]
            known = [number for number in numbers if isinstance(number, float)]
            if len(known) == len(of):
                marks.add(name, unit, who, reduce(known, by))
