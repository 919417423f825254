"""GenEval's six tasks: cases worked by hand through the judge, in both semantics, with the official reasons.

Pictures are 400 pixels wide and high. Boxes are (x1, y1, x2, y2) in pixels. The encoder is scripted: a picture's colour
is the commonest one in it that is not the grey around a mask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from benchmarks.geneval.judges.geneval import GenEvalJudge
from benchmarks.geneval.metadata import COLOURS
from benchmarks.semantics import Semantics
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.types import Box, Detection, Sample

SIDE = 400
A, B, C = (0, 160, 80, 240), (240, 160, 320, 240), (120, 0, 160, 40)
Pixels = tuple[float, float, float, float]


class Finds:
    """A detector that finds what it is told to."""

    name = fingerprint = "finds"

    def __init__(self, detections: Sequence[Detection]) -> None:
        self.detections = list(detections)

    def detect(self, images: Sequence[Image.Image], labels: object = None) -> list[list[Detection]]:
        return [self.detections for _ in images]


class Palette:
    """An encoder of pictures in flat colours, and of texts that name one."""

    name = fingerprint = "palette"
    known = {ImageColor.getrgb(name): place for place, name in enumerate(COLOURS)}  # noqa: RUF012

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.eye(len(COLOURS), dtype=np.float32)[[self._commonest(image) for image in images]]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[float(colour in text) for colour in COLOURS] for text in texts], dtype=np.float32)

    def _commonest(self, image: Image.Image) -> int:
        pixels = Counter(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))
        return self.known[next(pixel for pixel, _ in pixels.most_common() if pixel in self.known)]


def found(label: str, box: Pixels = A, score: float = 0.95, mask: Pixels | None = None) -> Detection:
    """A detection; its mask is a rectangle in pixels, or none."""
    area = None
    if mask is not None:
        area = np.zeros((SIDE, SIDE), dtype=bool)
        x1, y1, x2, y2 = (int(value) for value in mask)
        area[y1:y2, x1:x2] = True
    return Detection(label, Box(*(value / SIDE for value in box)), score, area)


def clause(name: str, count: int = 1, colour: str = "", position: tuple[str, int] | None = None) -> dict[str, Any]:
    asked: dict[str, Any] = {"class": name, "count": count}
    return asked | ({"color": colour} if colour else {}) | ({"position": list(position)} if position else {})


@dataclass(frozen=True)
class Case:
    """What is seen, and painted, in a picture; the fault in the official words, empty for a picture that is right.

    `corrected` is the fault under the other semantics where it differs.
    """

    seen: list[Detection]
    fault: str
    include: list[dict[str, Any]] | None = None
    exclude: list[dict[str, Any]] | None = None
    painted: dict[Pixels, str] | None = None
    corrected: str | None = None


def judged(tag: str, case: Case, include: list[dict[str, Any]], semantics: Semantics) -> Outcome:
    picture = Image.new("RGB", (SIDE, SIDE), "#777")
    for box, colour in (case.painted or {}).items():
        x1, y1, x2, y2 = box
        ImageDraw.Draw(picture).rectangle((x1, y1, x2 - 1, y2 - 1), fill=colour)
    row: dict[str, Any] = {"tag": tag, "prompt": "p", "include": case.include or include}
    row |= {"exclude": case.exclude} if case.exclude else {}
    sample = Sample(id="s", prompt="p", image=picture, meta={"geneval": row})
    return GenEvalJudge(Finds(case.seen), Palette(), semantics).judge([sample])[0]


def check(tag: str, case: Case, include: list[dict[str, Any]]) -> None:
    faults: dict[Semantics, str] = {
        "reference": case.fault,
        "corrected": case.fault if case.corrected is None else case.corrected,
    }
    for semantics, fault in faults.items():
        outcome = judged(tag, case, include, semantics)
        if fault == "ZeroDivisionError":
            assert isinstance(outcome, Unscored)
            assert fault in outcome.detail
            continue
        assert isinstance(outcome, Score)
        assert (outcome.value, outcome.note) == (float(not fault), fault)


NO_CAT = "expected cat>=1, found 0"
NO_DOG = "expected dog>=1, found 0"

SINGLE = {
    "it is there": Case([found("cat")], ""),
    "nothing is": Case([], NO_CAT),
    "something else is": Case([found("dog")], NO_CAT),
    # In float32, in which the detector answers: 0.3 is not above 0.3.
    "exactly the threshold": Case([found("cat", score=0.3)], NO_CAT),
    "just above it": Case([found("cat", score=0.3001)], ""),
    # Counting's 0.9 is for counting only.
    "half certain": Case([found("cat", score=0.5)], ""),
    "more than one": Case([found("cat"), found("cat", B)], ""),
    "more than sixteen": Case([found("cat")] * 20, ""),
    "beside something else": Case([found("dog"), found("cat", B)], ""),
    "a box without area": Case([found("cat", (80, 80, 80, 80))], ""),
    "another spelling": Case([found("Cat")], NO_CAT),
    # COCO's name for it is "mouse".
    "a renamed class": Case([found("mouse")], "", include=[clause("computer mouse")]),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_object(name: str):
    check("single_object", SINGLE[name], [clause("cat")])


TWO = {
    "both": Case([found("cat"), found("dog", B)], ""),
    "the first only": Case([found("cat")], NO_DOG),
    "the second only": Case([found("dog")], NO_CAT),
    "neither": Case([], f"{NO_CAT}\n{NO_DOG}"),
    "two of one": Case([found("cat"), found("cat", B)], NO_DOG),
    "a third thing": Case([found("cat"), found("dog", B), found("horse", C)], ""),
    # Nothing is suppressed: the overlap allowed is 1.
    "both in one place": Case([found("cat"), found("dog")], ""),
    "the second at the threshold": Case([found("cat"), found("dog", B, 0.3)], NO_DOG),
    "both just above": Case([found("cat", score=0.31), found("dog", B, 0.31)], ""),
    "the order does not matter": Case([found("dog", B), found("cat")], ""),
    "several of both": Case([found("cat"), found("cat", C), found("dog", B), found("dog", B)], ""),
    "a hot dog is no dog": Case([found("cat"), found("hot dog", B)], NO_DOG),
}


@pytest.mark.parametrize("name", TWO)
def test_two_object(name: str):
    check("two_object", TWO[name], [clause("cat"), clause("dog")])


def cats(*scores: float) -> list[Detection]:
    return [found("cat", (20.0 * place, 0, 20.0 * place + 10, 10), score) for place, score in enumerate(scores)]


TWO_CATS, NO_THIRD = clause("cat", 2), [clause("cat", 3)]
COUNTING = {
    "two": Case(cats(0.95, 0.95), "", exclude=NO_THIRD),
    "one": Case(cats(0.95), "expected cat>=2, found 1", exclude=NO_THIRD),
    "none": Case([], "expected cat>=2, found 0", exclude=NO_THIRD),
    "three": Case(cats(0.95, 0.95, 0.95), "expected cat<3, found 3", exclude=NO_THIRD),
    # 0.9 is not above 0.9.
    "the second at the threshold": Case(cats(0.95, 0.9), "expected cat>=2, found 1", exclude=NO_THIRD),
    "an unsure third": Case(cats(0.95, 0.95, 0.89), "", exclude=NO_THIRD),
    # The threshold of the other tasks does not count here.
    "half certain": Case(cats(0.5, 0.5), "expected cat>=2, found 0", exclude=NO_THIRD),
    "one place twice": Case([found("cat"), found("cat")], "", exclude=NO_THIRD),
    "other things": Case([*cats(0.95, 0.95), found("dog"), found("dog")], "", exclude=NO_THIRD),
    "more than are looked at": Case(cats(*[0.95] * 20), "expected cat<3, found 16", exclude=NO_THIRD),
    "without a limit": Case(cats(0.95, 0.95, 0.95), ""),
    "four": Case(cats(*[0.95] * 4), "", include=[clause("cat", 4)], exclude=[clause("cat", 5)]),
    "something else than excluded": Case(cats(0.95, 0.95), "", exclude=[clause("dog", 1)]),
}


@pytest.mark.parametrize("name", COUNTING)
def test_counting(name: str):
    check("counting", COUNTING[name], [TWO_CATS])


RED, BLUE = {A: "red"}, {A: "blue"}
BLUE_CAT = "expected red cat>=1, found 0 red; and 1 blue"
COLORS = {
    "red": Case([found("cat")], "", painted=RED),
    "blue": Case([found("cat")], BLUE_CAT, painted=BLUE),
    # A colour is asked about only where the object is.
    "not there": Case([], NO_CAT, painted=RED),
    "another thing is red": Case([found("dog")], NO_CAT, painted=RED),
    # As many as are asked for are looked at, the most certain first.
    "the surer one is blue": Case(
        [found("cat", B, 0.6), found("cat", A, 0.9)], BLUE_CAT, painted={A: "blue", B: "red"}
    ),
    "the surer one is red": Case([found("cat", B, 0.6), found("cat", A, 0.9)], "", painted={A: "red", B: "blue"}),
    # numpy's order of equal scores puts the last first, the detector's the first.
    "equally sure": Case([found("cat", A), found("cat", B)], BLUE_CAT, painted={A: "red", B: "blue"}, corrected=""),
    # 80 * 80 pixels, of which 20 * 80 are red; only they are in the mask.
    "a mask": Case([found("cat", A, mask=(0, 160, 20, 240))], "", painted={A: "blue", (0, 160, 20, 240): "red"}),
    "no mask": Case([found("cat", A)], BLUE_CAT, painted={A: "blue", (0, 160, 20, 240): "red"}),
    # Corners are rounded, half to even: 0.5 to 0 and 1.5 to 2, two pixels wide, the second of them red in both rows.
    "a box between pixels": Case(
        [found("cat", (0.5, 0.5, 1.5, 1.5))], "", painted={(0, 0, 1, 2): "#777", (1, 0, 2, 2): "red"}
    ),
    # 10.2 and 10.4 are both rounded to 10: nothing to look at; `corrected` looks at one pixel.
    "a box of no pixel": Case(
        [found("cat", (10.2, 10.2, 10.4, 10.4))], "ZeroDivisionError", painted={(10, 10, 11, 11): "red"}, corrected=""
    ),
    "two of two": Case(
        [found("cat", A), found("cat", B)], "", include=[clause("cat", 2, "red")], painted={A: "red", B: "red"}
    ),
    "one of two": Case(
        [found("cat", A), found("cat", B)],
        "expected red cat>=2, found 1 red; and 1 red, 1 blue",
        include=[clause("cat", 2, "red")],
        painted={A: "red", B: "blue"},
    ),
}


@pytest.mark.parametrize("name", COLORS)
def test_colors(name: str):
    check("colors", COLORS[name], [clause("cat", colour="red")])


def cat_and_dog(dog: Pixels, cat: Pixels = (160, 160, 200, 200)) -> list[Detection]:
    return [found("cat", cat), found("dog", dog)]


def asked(relation: str) -> list[dict[str, Any]]:
    return [clause("cat"), clause("dog", position=(relation, 0))]


# A dog of 40 by 40 pixels beside a cat of 40 by 40: each component of the offset is shortened by 0.1 * 80 = 8.
EAST, SOUTH, SOUTH_EAST = (320, 160, 360, 200), (160, 320, 200, 360), (320, 320, 360, 360)
POSITION = {
    # (160 - 8) / 160 = 0.95
    "right of": Case(cat_and_dog(EAST), "", asked("right of")),
    "left of": Case(cat_and_dog((0, 160, 40, 200)), "", asked("left of")),
    "below": Case(cat_and_dog(SOUTH), "", asked("below")),
    "above": Case(cat_and_dog((160, 0, 200, 40)), "", asked("above")),
    "the other way": Case(cat_and_dog(EAST), "expected dog left of target, found right of target", asked("left of")),
    # 152 / (160 * sqrt(2)) = 0.67 on both axes: two relations hold.
    "a diagonal is right of": Case(cat_and_dog(SOUTH_EAST), "", asked("right of")),
    "a diagonal is below": Case(cat_and_dog(SOUTH_EAST), "", asked("below")),
    "a diagonal is not above": Case(
        cat_and_dog(SOUTH_EAST), "expected dog above target, found below and right of target", asked("above")
    ),
    # An offset of 8 less 8: no relation at all, and two spaces in the reason.
    "too near": Case(
        cat_and_dog((168, 160, 208, 200)), "expected dog right of target, found  target", asked("right of")
    ),
    # 150 and 150 pixels wide, 60 apart: (60 - 30) / 60 is not more than a half.
    "exactly a half": Case(
        cat_and_dog((60, 0, 210, 10), (0, 0, 150, 10)), "expected dog right of target, found  target", asked("right of")
    ),
    # (61 - 30) / 61 is.
    "a pixel more": Case(cat_and_dog((61, 0, 211, 10), (0, 0, 150, 10)), "", asked("right of")),
    "the target is not there": Case(
        [found("dog", EAST)], f"{NO_CAT}\nno target for dog to be right of", asked("right of")
    ),
    "the other is not there": Case([found("cat")], NO_DOG, asked("right of")),
    # Only the surest dog counts.
    "a surer dog elsewhere": Case(
        [found("cat", (160, 160, 200, 200)), found("dog", EAST, 0.5), found("dog", SOUTH, 0.9)],
        "expected dog right of target, found below target",
        asked("right of"),
    ),
    # A clause can hold to an earlier one only.
    "a later target": Case(
        cat_and_dog(EAST),
        "no target for dog to be right of",
        [clause("dog", position=("right of", 1)), clause("cat")],
    ),
}


@pytest.mark.parametrize("name", POSITION)
def test_position(name: str):
    check("position", POSITION[name], asked("right of"))


BOTH = [found("cat", A), found("dog", B)]
RED_CAT_BLUE_DOG = [clause("cat", colour="red"), clause("dog", colour="blue")]
COLOR_ATTR = {
    "both": Case(BOTH, "", painted={A: "red", B: "blue"}),
    "swapped": Case(
        BOTH,
        f"{BLUE_CAT}\nexpected blue dog>=1, found 0 blue; and 1 red",
        painted={A: "blue", B: "red"},
    ),
    "the first is wrong": Case(BOTH, BLUE_CAT, painted={A: "blue", B: "blue"}),
    "the second is wrong": Case(BOTH, "expected blue dog>=1, found 0 blue; and 1 red", painted={A: "red", B: "red"}),
    "a third colour": Case(
        BOTH,
        "expected red cat>=1, found 0 red; and 1 green\nexpected blue dog>=1, found 0 blue; and 1 white",
        painted={A: "green", B: "white"},
    ),
    "the first is not there": Case([found("dog", B)], NO_CAT, painted={B: "blue"}),
    "the second is not there": Case([found("cat", A)], NO_DOG, painted={A: "red"}),
    "neither is": Case([], f"{NO_CAT}\n{NO_DOG}"),
    # Absence and a wrong colour are two faults.
    "one is absent, the other wrong": Case(
        [found("dog", B)], f"{NO_CAT}\nexpected blue dog>=1, found 0 blue; and 1 red", painted={B: "red"}
    ),
    # Both boxes are the whole square; the masks part it.
    "masks part one box": Case(
        [found("cat", A, mask=(0, 160, 40, 240)), found("dog", A, mask=(40, 160, 80, 240))],
        "",
        painted={(0, 160, 40, 240): "red", (40, 160, 80, 240): "blue"},
    ),
    # Without masks both are told from the square: more of it is red.
    "one box without masks": Case(
        [found("cat", A), found("dog", A)],
        "expected blue dog>=1, found 0 blue; and 1 red",
        painted={(0, 160, 50, 240): "red", (50, 160, 80, 240): "blue"},
    ),
    "an unsure cat of the right colour": Case(
        [found("cat", A, 0.9), found("cat", C, 0.4), found("dog", B)],
        BLUE_CAT,
        painted={A: "blue", B: "blue", C: "red"},
    ),
    "one colour for both": Case(
        BOTH, "", [clause("cat", colour="red"), clause("dog", colour="red")], painted={A: "red", B: "red"}
    ),
}


@pytest.mark.parametrize("name", COLOR_ATTR)
def test_color_attr(name: str):
    check("color_attr", COLOR_ATTR[name], RED_CAT_BLUE_DOG)


def test_a_lost_picture_is_no_zero(tmp_path: Path):
    row: dict[str, Any] = {"tag": "single_object", "prompt": "p", "include": [clause("cat")]}
    sample = Sample(id="s", prompt="p", image=tmp_path / "none.png", meta={"geneval": row})
    (outcome,) = GenEvalJudge(Finds([found("cat")]), Palette(), "reference").judge([sample])
    assert isinstance(outcome, Unscored)
    assert outcome.why.value == "no_input"
