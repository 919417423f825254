"""DPG-Bench's file of propositions: a line a question, in the order that decides which answers count.

Columns ``item_id, text, keywords, proposition_id, dependency, category_broad, category_detailed, tuple,
question_natural_language``. What the official reader loses is marked and not left out, so that `corrected` has it:

- the first line, since the reader takes it for a header that pandas has read already (line 73);
- the lines of an item that comes again further down, behind another item (line 96).

Source: TencentQQGYLab/ELLA @ 3c228f1, ``dpg_bench/compute_dpg_bench.py`` (Apache-2.0).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.semantics import Semantics
from gotr1_eval.core.checklist import ChecklistError, Question, parents_first
from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.types import Json

FACT = "dpg"
"""The key of `Sample.meta` that holds an item."""
COLUMNS = ("item_id", "text", "proposition_id", "dependency", "tuple", "question_natural_language")


@dataclass(frozen=True, slots=True)
class Proposition:
    """A line of the file.

    Attributes:
        dependency: the ids of its parents as they stand there, with commas; 0 is none.
        kind: its category and what it is about, ``entity - whole (boat)``; the column `tuple`.
        lost: the official reader does not know of it.
    """

    id: int
    dependency: str
    kind: str
    question: str
    lost: bool = False

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of the parents; none for 0."""
        return tuple(str(number) for part in self.dependency.split(",") if (number := int(part)))

    @property
    def category(self) -> str:
        """What stands before the first bracket: ``entity - whole``."""
        return self.kind.split("(")[0].strip()


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt with its propositions.

    Attributes:
        fault: why the official script fails on every item of the file; empty where it does not.
    """

    id: str
    prompt: str
    propositions: tuple[Proposition, ...]
    fault: str = ""

    def fact(self) -> dict[str, Json]:
        """As `Sample.meta` holds it."""
        rows: list[Json] = [asdict(one) for one in self.propositions]
        return {"item_id": self.id, "propositions": rows, **({"fault": self.fault} if self.fault else {})}


def broad(category: str) -> str:
    """The official first level: what stands before the first dash (``entity``)."""
    return category.split("-", maxsplit=1)[0].strip()


def read_items(path: Path) -> list[Item]:
    """The items of a file, in the order in which they first stand there.

    Raises:
        DataError: it is another file, or a line is wrong.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read: {one_line(error)}", path=path) from None
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing or not rows:
        raise DataError(f"expected DPG-Bench's propositions with the columns {', '.join(COLUMNS)}", path=path)
    try:
        return make_items([{name: row[name] or "" for name in COLUMNS} for row in rows])
    except ValueError as error:
        raise DataError(
            f"expected whole numbers as proposition_id and dependency: {one_line(error)}", path=path
        ) from None


def make_items(rows: Sequence[Mapping[str, str]]) -> list[Item]:
    """The items of lines in file order; raises ValueError for an id or a parent that is no number."""
    pieces: dict[str, list[list[int]]] = {}
    for place, row in enumerate(rows):
        known = pieces.setdefault(row["item_id"], [])
        if place and known and rows[place - 1]["item_id"] == row["item_id"]:
            known[-1].append(place)
        else:
            known.append([place])
    fault = _fault(rows)
    return [_item(rows, name, places, fault) for name, places in pieces.items()]


def _item(rows: Sequence[Mapping[str, str]], name: str, pieces: Sequence[Sequence[int]], fault: str) -> Item:
    last = set(pieces[-1]) - {0}
    propositions = [
        Proposition(
            id=int(rows[place]["proposition_id"]),
            dependency=rows[place]["dependency"],
            kind=rows[place]["tuple"],
            question=rows[place]["question_natural_language"],
            lost=place not in last,
        )
        for piece in pieces
        for place in piece
    ]
    for one in propositions:
        _ = one.parents  # refuses what is no number where the line is still known
    return Item(name, rows[pieces[0][0]].get("text", ""), tuple(propositions), fault)


def _fault(rows: Sequence[Mapping[str, str]]) -> str:
    """What pandas makes of the columns, where that ends the official script or leaves it without an item."""
    if rows and all(_is_number(row["dependency"]) for row in rows):
        return "no dependency has a comma, pandas reads numbers, and the script ends with AttributeError"
    if rows and all(_is_number(row["item_id"]) for row in rows):
        return "all item ids are numbers, which no file's name equals: the script finds no item"
    return ""


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()


def read_fact(fact: Json) -> Item:
    """The item of a sample's fact; raises ChecklistError where it is none."""
    try:
        row: Any = fact
        propositions = tuple(Proposition(**one) for one in row["propositions"])
        return Item(str(row["item_id"]), "", propositions, str(row.get("fault", "")))
    except (KeyError, TypeError, AttributeError) as error:
        raise ChecklistError(f"expected an item of DPG-Bench, got another fact ({error!r})") from None


def questions_of(item: Item, semantics: Semantics) -> tuple[Question, ...]:
    """What is asked about an item's picture, in file order.

    `reference` leaves out what the official reader loses, and of an id that comes twice keeps the first one's place and
    the last one's text; `corrected` asks everything once, parents before what depends on them.

    Raises:
        ChecklistError: nothing is left, or the official script fails on the whole file.
    """
    if semantics == "reference" and item.fault:
        raise ChecklistError(item.fault)
    kept = [one for one in item.propositions if semantics == "corrected" or not one.lost]
    by_id = {one.id: one for one in kept}
    if not by_id:
        raise ChecklistError("the official reader loses every question of this item, and the script fails on it")
    questions = [
        Question(id=str(number), text=one.question, parents=one.parents, tag=one.category)
        for number, one in by_id.items()
    ]
    return tuple(questions if semantics == "reference" else parents_first(questions))
