"""A layout with a place of its own for each picture: written, read back, and what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.layouts import write_layout
from gotr1_eval.runs.picture_folders import match_pictures
from gotr1_eval.runs.stated_places import Matching, StatedPlaces


def place(sample: Sample) -> str | None:
    number = sample.meta.get("number")
    return None if number is None else f"some/{number}_{sample.meta['image_index']}.png"


LAYOUT = StatedPlaces("Lamps", place)
PLAN = [
    Sample(id=f"lamps/day/{number:05d}/{image}", prompt="a lamp", meta={"number": number, "image_index": image})
    for number in (3, 7)
    for image in (0, 1)
]


def paint(path: Path, grey: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), (grey, grey, grey)).save(path)
    return path


def test_pictures_are_written_to_their_places_and_found_there(tmp_path: Path):
    assert isinstance(LAYOUT, Matching)
    made = [
        Sample(id=sample.id, prompt="a lamp", image=paint(tmp_path / f"made{at}.png", at))
        for at, sample in enumerate(PLAN)
    ]
    assert write_layout(LAYOUT, PLAN, made, tmp_path / "out") == 4
    found = match_pictures(tmp_path / "out", PLAN, LAYOUT)
    assert {name: path.name for name, path in found.paths.items()} == {
        PLAN[0].id: "3_0.png",
        PLAN[1].id: "3_1.png",
        PLAN[2].id: "7_0.png",
        PLAN[3].id: "7_1.png",
    }
    assert found.remarks == ()


def test_missing_and_surplus_pictures_are_told(tmp_path: Path):
    paint(tmp_path / "some/3_0.webp")
    paint(tmp_path / "some/3_2.png")
    found = match_pictures(tmp_path, PLAN, LAYOUT)
    assert {name: path.name for name, path in found.paths.items()} == {PLAN[0].id: "3_0.webp"}
    surplus, missing = found.remarks
    assert "1 pictures are of no sample" in surplus
    assert "3_2.png" in surplus
    assert "3 planned samples have no picture, such as some/3_1.png" in missing


def test_a_folder_without_any_of_them_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none of the 4 pictures is there; Lamps looks for some/3_0\.png"):
        match_pictures(tmp_path, PLAN, LAYOUT)
    with pytest.raises(UsageError, match="not a folder"):
        match_pictures(tmp_path / "nowhere", PLAN, LAYOUT)


def test_a_foreign_sample_and_two_for_one_place_are_refused():
    with pytest.raises(UsageError, match="only its own prompts have one"):
        LAYOUT.paths([Sample(id="x/y/00000/0", prompt="")])
    twice = Sample(id="lamps/day/00009/0", prompt="a lamp", meta=PLAN[0].meta)
    with pytest.raises(UsageError, match="already"):
        LAYOUT.paths([PLAN[0], twice])
