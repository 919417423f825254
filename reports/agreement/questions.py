"""Several rows of one item by one judge, made one: the mean of its answers to questions about the item."""

from __future__ import annotations

import statistics
from collections import Counter
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
