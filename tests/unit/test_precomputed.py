"""Detections from a file: found by the picture's path, kept in order and to the bit, and refused with the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.pixels import to_pixels
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.perception import FileDetector
from gotr1_eval.models.detectors.precomputed import PrecomputedDetector

CAT = {"label": "cat", "box": [1.5, 2.25, 30.125, 40.0], "score": 0.9375}
ROW: dict[str, Any] = {"image": "a/0.png", "detector": "unidet", "width": 64, "height": 48, "detections": [CAT]}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "detections.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def detector(folder: Path, *rows: object) -> PrecomputedDetector:
    built = Builder().detector({"use": "precomputed", "path": str(written(folder, *rows))})
    assert isinstance(built, PrecomputedDetector)
    assert isinstance(built, FileDetector)
    return built


def test_a_picture_is_known_by_the_end_of_its_path(tmp_path: Path):
    known = detector(tmp_path, ROW, {**ROW, "image": str(tmp_path / "b" / "0.png"), "detections": []})
    assert known.name == "unidet"
    in_picture = known.look_up(tmp_path / "a" / "0.png")
    assert in_picture is not None
    assert in_picture.size == (64, 48)
    assert [found.label for found in in_picture.detections] == ["cat"]
    nothing = known.look_up(tmp_path / "b" / "0.png")
    assert nothing is not None
    assert nothing.detections == ()
    assert known.look_up(tmp_path / "c" / "0.png") is None
    assert known.look_up(tmp_path / "za" / "0.png") is None


def test_float32_pixels_come_back_exactly(tmp_path: Path):
    rng = np.random.default_rng(0)
    sides = [(479, 479), (640, 361), (1023, 767)]
    corners = [np.sort(rng.uniform(0, side, 2).astype(np.float32)) for size in sides * 50 for side in size]
    rows = []
    for place in range(0, len(corners), 2):
        width, height = (sides * 50)[place // 2]
        (x1, x2), (y1, y2) = corners[place].tolist(), corners[place + 1].tolist()
        found = {"label": "x", "box": [x1, y1, x2, y2], "score": 0.5}
        rows.append({"image": f"{place}.png", "detector": "d", "width": width, "height": height, "detections": [found]})
    known = detector(tmp_path, *rows)
    for row in rows:
        in_picture = known.look_up(tmp_path / row["image"])
        assert in_picture is not None
        assert list(to_pixels(in_picture.detections, in_picture.size)[0].box) == row["detections"][0]["box"]


def test_one_row_cannot_mean_two_pictures(tmp_path: Path):
    known = detector(tmp_path, {**ROW, "image": "0.png"})
    first = known.look_up(tmp_path / "a" / "0.png")
    assert first is not None
    assert known.look_up(tmp_path / "a" / "0.png") == first
    with pytest.raises(DataError, match=r"detections.jsonl:1: the row stands for .*name more of the path"):
        known.look_up(tmp_path / "b" / "0.png")


def test_pictures_in_memory_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="picture files"):
        detector(tmp_path, ROW).detect([Image.new("RGB", (4, 4))], [["cat"]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row"),
        ([{**ROW, "image": ""}], ":1: expected 'image'"),
        ([{**ROW, "detector": 3}], ":1: expected 'detector'"),
        ([{**ROW, "width": 0}], ":1: expected 'width' and 'height'"),
        ([{**ROW, "detections": None}], ":1: expected 'detections'"),
        ([ROW, ROW], ":2: picture 'a/0.png' has a row already, in line 1"),
        ([ROW, {**ROW, "image": "b", "detector": "other"}], "one detector, got detections of 'unidet', 'other'"),
        ([{**ROW, "detections": [{**CAT, "score": 1.5}]}], ":1: not a detection"),
        ([{**ROW, "detections": [{**CAT, "box": [9, 0, 3, 20]}]}], "inside 64x48; is it x, y, width, height"),
        ([{**ROW, "detections": [{**CAT, "label": None}]}], ":1: not a detection"),
        ([{**ROW, "detections": [["cat"]]}], ":1: not a detection"),
        (
            [{key: value for key, value in ROW.items() if key != "height"}],
            "'width' and 'height' in pixels, got 64 and N",
        ),
        ([{**ROW, "width": 64.5}], ":1: expected 'width' and 'height'"),
        ([{**ROW, "detections": [{"label": "cat", "score": 0.5}]}], "no 'box'"),
        ([{**ROW, "detections": [{**CAT, "score": float("nan")}]}], "score nan is not in"),
        ([{**ROW, "detections": [{**CAT, "score": -0.1}]}], "score -0.1 is not in"),
        ([{**ROW, "detections": [{**CAT, "score": "0.5"}]}], "score '0.5' is not in"),
        ([{**ROW, "detections": [{**CAT, "box": [0, float("nan"), 9, 20]}]}], "not finite"),
        ([{**ROW, "detections": [{**CAT, "box": [0, 0, float("inf"), 20]}]}], "not finite"),
        ([{**ROW, "detections": [{**CAT, "box": [0, 0, 10**400, 20]}]}], ":1: not a detection"),
        ([{**ROW, "detections": [{**CAT, "box": [0, 0, 9]}]}], "not four numbers"),
        ([{**ROW, "detections": [{**CAT, "box": "0 0 9 9"}]}], "not four numbers"),
        ([{**ROW, "detections": [{**CAT, "box": [0, 0, "9", 9]}]}], "not four numbers"),
        # fractions: all boxes of a picture, one among others, and some that overshoot 1
        ([{**ROW, "detections": [{**CAT, "box": [0, 0, 0.5, 0.5]}]}], "in fractions, expected pixels of 64x48"),
        ([{**ROW, "detections": [CAT, {**CAT, "box": [0.2, 0, 0.5, 1]}]}], "in fractions"),
        ([{**ROW, "detections": [{**CAT, "box": [0.5, 0.5, 1.04, 1]}, {**CAT, "box": [0, 0, 0, 0]}]}], "in fractions"),
        ([ROW, {**ROW, "image": "./a//0.png"}], "has a row already, in line 1"),
        ([ROW, {**ROW, "image": "a\\b\\..\\0.png"}], "has a row already, in line 1"),
    ],
)
def test_what_is_no_row(rows: list[object], message: str, tmp_path: Path):
    with pytest.raises(DataError, match=message):
        detector(tmp_path, *rows)


def test_boxes_over_their_frame_are_cut_off_and_counted(tmp_path: Path):
    boxes = {
        "within": [1, 1, 64, 48], "rounded": [-0.5, 0, 64.6, 20], "over": [-20, 10, 30, 500], "gone": [70, 0, 90, 20],
        "a pixel left": [0, 0, 0.4, 0.3],
    }  # fmt: skip
    found = [{"label": label, "box": box, "score": 0.5} for label, box in boxes.items()]
    known = detector(tmp_path, {**ROW, "detections": found}, {**ROW, "image": "b.png", "detections": [CAT]})
    in_picture = known.look_up(tmp_path / "a" / "0.png")
    assert in_picture is not None
    assert {seen.label: seen.box.corners for seen in in_picture.detections} == {
        "within": (1 / 64, 1 / 48, 1, 1), "rounded": (0, 0, 1, 20 / 48), "over": (0, 10 / 48, 30 / 64, 1),
        "a pixel left": (0, 0, 0.4 / 64, 0.3 / 48),
    }  # fmt: skip
    place = "(the first in line 1)"
    assert known.remarks([]) == [
        f"{known.path}: 1 of 6 boxes reach over their frame and were cut off there {place}",
        f"{known.path}: 1 of 6 boxes lie outside their frame and were left out; is it the boxes' frame? {place}",
    ]


def test_rows_of_other_pictures_and_unordered_scores_are_counted(tmp_path: Path):
    known = detector(
        tmp_path,
        {**ROW, "detections": [CAT, {**CAT, "score": 0.95}]},
        {**ROW, "image": "old/9.png"},
        {**ROW, "image": "z"},
    )
    name = tmp_path / "detections.jsonl"
    assert known.remarks([tmp_path / "a" / "0.png"]) == [
        f"{name}: the detections of 1 of 3 pictures are not ordered by score (the first in line 1)",
        f"{name}: 2 of 3 rows are of pictures that are not there (the first: 'old/9.png', line 2)",
    ]


@pytest.mark.parametrize(
    "name", ["./a/0.png", "a//0.png", "a\\0.png", "b/../a/0.png", "../a/0.png", "{folder}/./a/0.png"]
)
def test_a_path_may_be_written_in_several_ways(name: str, tmp_path: Path):
    known = detector(tmp_path, {**ROW, "image": name.replace("{folder}", str(tmp_path))})
    assert known.look_up(tmp_path / "a" / "0.png") is not None
    assert known.look_up(tmp_path / "za" / "0.png") is None


def test_decomposed_letters_and_linked_folders(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    known = detector(tmp_path, {**ROW, "image": f"{tmp_path}/real/cafe\u0301.png"})
    assert known.look_up(tmp_path / "real" / "caf\xe9.png") is not None
    assert known.look_up(tmp_path / "link" / "caf\xe9.png") is not None
