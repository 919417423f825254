"""What the columns of a foreign table mean: the settings of a ``--mapping`` file (TOML or JSON).

docs/agreement.md shows mappings of public data sets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.settings import Settings, read_settings, read_toml

ANY = "*"
"""The dimension of judge scores that belong to no dimension in particular: they are held against every one."""

Reduction = Literal["min", "max", "mean", "geometric_mean"]
Cell = str | int | float | bool
Columns = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class ObjectsRule(Settings):
    """A rater's answers about objects held against GenEval's metadata of the prompt; the value is 1 or 0.

    Attributes:
        metadata: the join (see `Join`) that holds ``include`` and ``exclude``.
        strict: the colours named must be exactly the one asked for, not merely contain it.
        count, color: columns of the first and the second object, with ``{}`` for 0 and 1.
        x, y: columns that say where object 1 stands, seen from object 0.
    """

    metadata: str
    strict: bool = False
    count: str = "Answer.task-count-{}"
    color: str = "Answer.task-color-{}"
    x: str = "Answer.task-position-x"
    y: str = "Answer.task-position-y"


class Value(Settings):
    """How a mark is read from a cell.

    Attributes:
        column: where it stands; of several columns each is a unit of its own.
        element: of a list cell, the one that counts (from 0).
        over: of a list cell, what is made of its numbers.
        raters: every element of the list cell comes from another rater.
        labels, other: numbers that words stand for, and that of every other word; without `other`, such a word is an
            error.
        text: the mark is a word and stays one (nominal only).
        split: the mark is a set of words with this between them, a nominal value.
        members: the mark is a set (see `split`); each of these words is a unit that is marked 1 or 0.
        low, high: ends of the scale; what lies beyond is left out and named.
        equals: the mark is 1 where this other column holds the same word (in any case), and 0 where it holds another.
        rule: the mark follows from several columns.
    """

    column: Columns = ()
    element: Annotated[int | None, Field(ge=0)] = None
    over: Reduction | None = None
    raters: bool = False
    labels: Mapping[str, float] = {}
    other: float | None = None
    text: bool = False
    split: str = ""
    members: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    equals: str | None = None
    rule: ObjectsRule | None = None


Reading = Annotated[Value, BeforeValidator(lambda value: {"column": value} if isinstance(value, str) else value)]


class Derived(Settings):
    """A dimension made of others of the same rater or judge on the same item; absent where one of them is."""

    of: tuple[str, ...] = Field(min_length=1)
    by: Reduction


class Join(Settings):
    """Columns of another table, under ``<name of the join>.<column>``.

    Attributes:
        file: the other table, relative to the mapping.
        column: of this table, what is looked up.
        on: of the other table, what it is looked up in; ``$row`` is the row's number from 0.
    """

    file: Path
    column: str
    on: str = "$row"


class Questions(Settings):
    """Rows are yes-no questions about an item, and a question counts only if no parent was answered with no.

    Attributes:
        id: the column of the question's number.
        parents: the column of its parents' numbers, with commas; `none` stands for no parent.
    """

    id: str
    parents: str
    none: str = "0"


class Pair(Settings):
    """Rows that say which of two items is better: the pair is the unit, and its order in the row does not matter.

    The mark is 1 where the item whose name sorts first was preferred, 0 where the other was, 0.5 for a tie.

    Attributes:
        first, second: columns of the two items, as they were shown.
        verdict: the column that says who won: one of the words below in any case, or the name of an item.
        scores: in place of it two columns with the items' scores, of which the greater wins.
    """

    first: str
    second: str
    verdict: str = ""
    scores: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    wins: tuple[str, ...] = ("a", "1", "first", "left", "win")
    loses: tuple[str, ...] = ("b", "2", "second", "right", "loss")
    ties: tuple[str, ...] = ("tie", "0", "equal", "same", "both", "neither", "draw", "c")


class TableMapping(Settings):
    """One table of marks.

    Attributes:
        files: patterns relative to the mapping; files named on the command line take their place. A name in braces
            stands for a piece of the path, and that piece is a column of this name.
        whole: a JSON file holds one row, whose columns are the object's keys.
        lists: columns that hold lists of one length: each place is a row, with its number under ``$place``.
        matches: a regular expression over a text file; each match is a row (``$place``), its named groups the columns.
        where: only rows whose cells are these (or one of these).
        keep: columns that stay when all others are turned into rows: their name is then ``$column``, their cell
            ``$cell``. Empty for tables that are long already.
        item: the columns whose values name an item.
        prompt: those that name its prompt (the bootstrap draws prompts whole); the item itself by default.
        category: the column by which results are split; none by default.
        system: the columns that name the generator or model that made the item.
        picture: the columns that name the picture of a row that is a question: verdicts are then marks on the dimension
            ``question``, and their mean is one on the dimension ``picture``.
        by: the column of the rater or the judge; ``$order`` counts an item's rows from 0, ``$file`` is the file's name.
        name: of the one judge whose scores these are.
        repeat: the column with the number of a repeated judgment (test and retest).
        dimension, value: of a long table.
        values: dimension -> where its mark stands, of a wide table.
        pair: see `Pair`; in place of `item` and `value`.
        judges: judge -> where its score stands, of a wide table of scores for every dimension.
        complete: an item that somebody marked on some of the dimensions only counts as not marked by them.
        derived: dimension -> how it follows from others.
        aggregate: what is made of several rows of one item by one judge; without it they are an error.
        questions: see `Questions`; with `aggregate`.
        absent: the score of rated items that no row is about, as some published tables have it; by default there is
            none, and they are counted.
        missing: cells that mean nothing was said.
        inclusion_probability, stratum: columns that say how an item was drawn: with which chance, from which cell.
    """

    files: Columns = ()
    whole: bool = False
    lists: Columns = ()
    matches: str | None = None
    where: Mapping[str, Cell | tuple[Cell, ...]] = {}
    keep: tuple[str, ...] = ()
    join: Mapping[str, Join] = {}
    item: Columns = ("item",)
    prompt: Columns = ()
    category: str | None = None
    system: Columns = ()
    picture: Columns = ()
    by: str | None = None
    name: str | None = None
    repeat: str | None = None
    dimension: str | None = None
    value: Reading | None = None
    values: Mapping[str, Reading] = {}
    judges: Mapping[str, Reading] = {}
    pair: Pair | None = None
    derived: Mapping[str, Derived] = {}
    complete: bool = False
    aggregate: Literal["mean"] | None = None
    questions: Questions | None = None
    absent: float | None = None
    missing: tuple[str, ...] = ("",)
    inclusion_probability: str | None = None
    stratum: str | None = None


class MappingFile(Settings):
    """A mapping file: how ratings and scores are read."""

    ratings: TableMapping | None = None
    scores: Annotated[
        tuple[TableMapping, ...], BeforeValidator(lambda value: (value,) if isinstance(value, dict) else value)
    ] = ()


def read_mapping(path: Path) -> MappingFile:
    """The mapping that a TOML or JSON file holds.

    Raises:
        DataError: the file cannot be read.
        UsageError: an unknown setting, or a value of the wrong type.
    """
    values: dict[str, Any]
    if path.suffix == ".json":
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"not a mapping in JSON ({one_line(error)})", path=path) from None
    else:
        values = read_toml(path)
    return read_settings(MappingFile, values, where=str(path))


def read_mapping_or_none(path: Path | None, data: Path | None) -> tuple[MappingFile, Path]:
    """The mapping, an empty one for None, and the folder that its paths are relative to."""
    if path is None:
        return MappingFile(), data or Path()
    return read_mapping(path), data or path.parent
