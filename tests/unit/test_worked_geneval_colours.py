"""GenEval's tasks with colours: cases worked by hand, in both semantics, with the official reasons."""

from __future__ import annotations

import pytest

from tests.geneval_cases import NO_CAT, NO_DOG, A, B, C, Case, check, clause, found

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
