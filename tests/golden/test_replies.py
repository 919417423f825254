"""Real answers of language-vision models, read as a person reads them.

An answer that a person can read counts as read when the very same values come out; anything else that comes out, of any
answer, is a wrong value. Verdicts between two pictures ("[[B>A]]") are no business of these readers: such answers
are only checked to give neither a score nor a box, and counted apart.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.reading import BoxOrder, UnreadableReply, read_boxes, read_score, read_score_list
from gotr1_eval.core.types import Box
from tests.conftest import shared_parameters

Row = dict[str, Any]
READABLE = {"ok", "partial", "empty"}
ENOUGH = 0.97
WIDE = (4096.0, 4096.0)
"""Stands for the size of a picture that a row does not tell; reading does not depend on it."""


def frame_of(row: Row) -> tuple[float, float]:
    side = re.search(r"[0-9]+$", row["coord"] or "")
    if side:
        return (float(side.group()), float(side.group()))
    size = str(row.get("image") or "").split("x")
    return (float(size[0]), float(size[1])) if len(size) == 2 and all(map(str.isdecimal, size)) else WIDE


def order_of(row: Row) -> BoxOrder:
    """What the four numbers of a row's boxes are."""
    stated = {row["coord"] or "", *(str(box.get("order", "")) for box in row["expect"]["boxes"])}
    if any("xywh" in name for name in stated):
        return "xywh"
    return "yxyx" if any("yxyx" in name for name in stated) else "xyxy"


def corners(box: Box, frame: tuple[float, float], order: BoxOrder) -> list[float]:
    """The four numbers as the model wrote them, to a thousandth."""
    x1, y1, x2, y2 = (value * side for value, side in zip(box.corners, frame * 2, strict=True))
    written = {"xyxy": (x1, y1, x2, y2), "yxyx": (y1, x1, y2, x2), "xywh": (x1, y1, x2 - x1, y2 - y1)}
    return [round(value, 3) for value in written[order]]


def read_grounding(row: Row) -> bool:
    """Whether exactly the expected boxes are read."""
    frame, order = frame_of(row), order_of(row)
    found = read_boxes(row["raw"], frame=frame, order=order)
    expected = [(box["label"], [round(float(number), 3) for number in box["box"]]) for box in row["expect"]["boxes"]]
    read = [(label, corners(box, frame, order)) for label, box in found]
    return read[: len(expected)] == expected and len(read) == row["expect"].get("n_boxes", len(expected))


def read_plan(row: Row) -> bool:
    """Whether exactly the expected boxes of a reasoning chain are read."""
    expected = [(box["label"], [round(float(number), 3) for number in box["box"]]) for box in row["expect"]["boxes"]]
    read = [(name, corners(box, (1000.0, 1000.0), "xyxy")) for name, box in parse_chain(row["raw"]).boxed]
    return read == expected


def read_scored(row: Row) -> bool:
    """Whether exactly the expected scores are read, from 0 to 10."""
    expected = row["expect"].get("scores")
    if expected is None or len(expected) != 1:
        try:
            return read_score_list(row["raw"], count=len(expected or "12"), low=0, high=10) == expected
        except UnreadableReply:
            if expected is not None:
                raise
    return [read_score(row["raw"], low=0, high=10)] == expected


def read_verdict(row: Row) -> bool:
    """Never: a verdict is neither a score nor a box."""
    try:
        read_score(row["raw"], low=0, high=10)
    except UnreadableReply:
        read_boxes(row["raw"], frame=(1000, 1000))
    return False


READERS = {
    "grounding": read_grounding,
    "layout": read_grounding,
    "score": read_scored,
    "score_json": read_scored,
    "pairwise": read_verdict,
    "chain": read_plan,
}


def judge(row: Row) -> str:
    """What became of a row: read, missed, wrong, refused (rightly), or skipped (not ours)."""
    reader = READERS.get(row["kind"])
    if reader is None:
        return "skipped"
    readable = row["expect"]["status"] in READABLE
    try:
        same = reader(row)
    except UnreadableReply:
        if row["kind"] == "pairwise":
            return "skipped"
        return "missed" if readable else "refused"
    return "read" if same and readable else "wrong"


@pytest.mark.parametrize("path", shared_parameters("golden/replies/*.jsonl"))
def test_real_answers_are_read_and_never_misread(path: Path, read_shared: Callable[[Path], str]):
    rows = [json.loads(line) for line in read_shared(path).splitlines() if line.strip()]
    fates = {row["id"]: judge(row) for row in rows}
    counts = Counter(fates.values())
    print(f"{path.name}: {dict(counts)}")
    assert [name for name, fate in fates.items() if fate == "wrong"] == []
    missed = [name for name, fate in fates.items() if fate == "missed"]
    assert counts["read"] >= ENOUGH * (counts["read"] + len(missed)), missed
    assert counts["read"] > 0


def test_by_hand_a_row_of_each_fate():
    row = {"id": "a", "kind": "score", "coord": None, "raw": '{"score": [8, 7]}'}
    assert judge({**row, "expect": {"status": "ok", "scores": [8, 7]}}) == "read"
    assert judge({**row, "expect": {"status": "ok", "scores": [8, 6]}}) == "wrong"
    assert judge({**row, "expect": {"status": "unparsable", "scores": None}}) == "wrong"
    assert judge({**row, "raw": "eight", "expect": {"status": "ok", "scores": [8, 7]}}) == "missed"
    assert judge({**row, "raw": "eight", "expect": {"status": "unparsable", "scores": None}}) == "refused"
    assert judge({**row, "kind": "essay", "expect": {"status": "ok"}}) == "skipped"
