"""A study's folder keeps what was drawn and what was answered."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from gotr1_eval.core.errors import DataError
from reports.agreement.ratings import Rating, write_ratings
from reports.agreement.study_folder import Dimension, Item, Study, read_study, write_study

DIMENSION = Dimension(name="spatial", judge="spatial", rubric="Do they stand?", low=1, high=10, needs=("plan",))


def study() -> Study:
    items = (
        Item(
            item="s/a/00000/0",
            prompt="a, “b”\r\nc",
            chain="b (0,0),(9,9)",
            inclusion_probability=0.25,
            scores={"x": 1},
            unscored={"y": "refused"},
        ),
        Item(item="s/a/00001/0", prompt="d", image="images/d.png"),
    )
    return Study(name="first", seed=3, population=8, dimensions=(DIMENSION,), items=items, setup={"runs": ["r"]})


def test_what_is_written_is_read(tmp_path: Path):
    write_study(study(), tmp_path)
    there = read_study(tmp_path)
    assert there == study()
    assert [there.dimensions_of(item) for item in there.items] == [(DIMENSION,), ()]
    beside = replace(there.items[0], unscored={"spatial[m]": "not_applicable"})
    failed = replace(there.items[0], unscored={"spatial[m]": "refused", "other": "not_applicable"})
    assert [there.dimensions_of(item) for item in (beside, failed)] == [(), (DIMENSION,)]


def test_ratings_keep_commas_quotes_and_line_breaks(tmp_path: Path):
    given = Rating(item='a,"b"\r\n', rater="Ann", dimension="spatial", value=7, seconds=1.5)
    cannot = Rating(item="c", rater="Ann", dimension="spatial", value=None)
    with write_ratings([given, cannot], tmp_path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [['a,"b"\r\n', "Ann", "spatial", "7", "1.500", ""], ["c", "Ann", "spatial", "", "", ""]]


def test_faults_name_file_and_line(tmp_path: Path):
    with pytest.raises(DataError, match="draw one with"):
        read_study(tmp_path)
    write_study(study(), tmp_path)
    items = tmp_path / "items.jsonl"
    items.write_text(items.read_text() * 2, encoding="utf-8")
    with pytest.raises(DataError, match=r"items.jsonl:3: item 's/a/00000/0' stands there twice"):
        read_study(tmp_path)
    items.write_text('{"item": "x", "prompt": "p", "inclusion_probability": 0}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"items.jsonl:1: not an item .*inclusion_probability must lie in"):
        read_study(tmp_path)
