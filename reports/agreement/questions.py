"""Several rows of one item by one judge, made one: the mean of its answers to questions about the item."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.agreement.files import Row
from reports.agreement.mapping import Questions
from reports.agreement.marks import Unit
from reports.agreement.values import Found


@dataclass(frozen=True, slots=True)
class Said:
    """One value of a row, and who said it about what."""

    row: Row
    dimension: str
    unit: Unit
    who: str
    repeat: int
    found: Found


def aggregated(said: Sequence[Said], questions: Questions | None) -> list[Said]:
    """The mean of the rows of each item, judge and repeat; rows without a value do not count."""
    groups: dict[tuple[str, Unit, str, int], list[Said]] = {}
    for one in said:
        groups.setdefault((one.dimension, one.unit, one.who, one.repeat), []).append(one)
    found = []
    for group in groups.values():
        numbers = _with_parents(group, questions) if questions else [one.found.mark for one in group]
        kept = [number for number in numbers if isinstance(number, float)]
        mean = statistics.fmean(kept) if kept else None
        found.append(replace(group[0], found=replace(group[0].found, mark=mean)))
    return found


def _with_parents(group: Sequence[Said], questions: Questions) -> list[float | None]:
    """Answers in which a question with a parent that was answered with no counts 0 (Cho et al., DSG, 2024).

    A parent that is not among the item's questions denies nothing.
    """
    answers = {str(one.row.cell(questions.id)).strip(): one.found.mark for one in group}
    denied = {name for name, answer in answers.items() if not (isinstance(answer, float) and answer > 0)}
    numbers: list[float | None] = []
    for one in group:
        parents = {name.strip() for name in str(one.row.cell(questions.parents)).split(",")} - {questions.none}
        mark = one.found.mark
        numbers.append((0.0 if parents & denied else mark) if isinstance(mark, float) else None)
    return numbers
