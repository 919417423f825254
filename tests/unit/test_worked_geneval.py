"""GenEval's tasks without colours: cases worked by hand, in both semantics, with the official reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.geneval.judges.geneval import GenEvalJudge
from gotr1_eval.core.outcome import Unscored
from gotr1_eval.core.types import Detection, Sample
from tests.geneval_cases import NO_CAT, NO_DOG, B, C, Case, Finds, Palette, Pixels, check, clause, found

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


def test_a_lost_picture_is_no_zero(tmp_path: Path):
    row: dict[str, Any] = {"tag": "single_object", "prompt": "p", "include": [clause("cat")]}
    sample = Sample(id="s", prompt="p", image=tmp_path / "none.png", meta={"geneval": row})
    (outcome,) = GenEvalJudge(Finds([found("cat")]), Palette(), "reference").judge([sample])
    assert isinstance(outcome, Unscored)
    assert outcome.why.value == "no_input"
