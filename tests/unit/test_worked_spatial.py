"""T2I-CompBench's 2D and 3D spatial scores: cases worked by hand, in both semantics.

A score is 0.25 * both confidences + 0.5 * relation. Boxes are (x1, y1, x2, y2) in pixels of the detector's frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.pixels import PixelBox, PixelDetection
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.judges.spatial_3d import Depths, depth_levels, in_frame, relation_3d, score_3d
from benchmarks.t2i_compbench.spatial_2d import score_2d
from benchmarks.t2i_compbench.spatial_prompts import first_and_last_noun

CAT_DOG = ("cat", "dog")
CRASH = "ZeroDivisionError"
# Centres (50, 150) and (350, 150); their confidences alone make 0.2 + 0.15 = 0.35.
LEFT: PixelBox = (0, 100, 100, 200)
RIGHT: PixelBox = (300, 100, 400, 200)


def at(x: float, y: float, side: float = 100) -> PixelBox:
    """A square around a centre."""
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def cat(box: PixelBox, score: float = 0.8) -> PixelDetection:
    return PixelDetection("cat", score, box)


def dog(box: PixelBox, score: float = 0.6) -> PixelDetection:
    return PixelDetection("dog", score, box)


@dataclass(frozen=True)
class Case:
    """A relation word, what was seen in the detector's order, and the score (or the crash) under both semantics."""

    word: str | None
    seen: list[PixelDetection]
    reference: float | str
    corrected: float | str
    objects: tuple[str, str] | None = CAT_DOG


PLANE = {
    # 0.35 + 0.5
    "left of": Case("on the left of", [cat(LEFT), dog(RIGHT)], 0.85, 0.85),
    # 0.35 + 0, which is under 0.5
    "the wrong side": Case("on the right of", [cat(LEFT), dog(RIGHT)], 0.0, 0.0),
    # y goes down: the cat's 50 is above the dog's 350.
    "above": Case("on the top of", [cat(at(150, 50)), dog(at(150, 350))], 0.85, 0.85),
    "below": Case("on the bottom of", [cat(at(150, 350)), dog(at(150, 50))], 0.85, 0.85),
    # 0.25 * 0.8 = 0.2, which is under 0.5
    "one object": Case("on the left of", [cat(LEFT)], 0.0, 0.0),
    "nothing": Case("on the left of", [], 0.0, 0.0),
    # 0.25 + 0.25 + 0: exactly 0.5 is not under it.
    "both certain, wrong side": Case("on the right of", [cat(LEFT, 1.0), dog(RIGHT, 1.0)], 0.5, 0.5),
    # 0.25 * 0.99 + 0.25 = 0.4975
    "a hair less certain": Case("on the right of", [cat(LEFT, 0.99), dog(RIGHT, 1.0)], 0.0, 0.0),
    # IoU 5000 / 15000, credit 0.1 / (1 / 3) = 0.3: 0.35 + 0.15 is exactly 0.5
    "overlap costs": Case("on the left of", [cat((0, 0, 100, 100)), dog((50, 0, 150, 100))], 0.5, 0.5),
    # IoU 20 / 200 is not under 0.1, and 0.1 / 0.1 = 1
    "overlap of exactly a tenth": Case("on the left of", [cat((0, 0, 11, 10)), dog((9, 0, 20, 10))], 0.85, 0.85),
    # dx = dy = -100: |dx| > |dy| fails
    # 100 pixels along and 150 across are another direction, by whatever word.
    "more below than left": Case("on the left of", [cat(at(100, 250)), dog(at(200, 100))], 0.0, 0.0),
    "more below than right": Case("on the right of", [cat(at(200, 250)), dog(at(100, 100))], 0.0, 0.0),
    "more right than above": Case("on the top of", [cat(at(250, 100)), dog(at(100, 200))], 0.0, 0.0),
    "more right than below": Case("on the bottom of", [cat(at(250, 200)), dog(at(100, 100))], 0.0, 0.0),
    "more right than on top": Case("on top of", [cat(at(250, 100)), dog(at(100, 200))], 0.0, 0.0),
    "more below than left, without of": Case("on the left", [cat(at(100, 250)), dog(at(200, 100))], 0.0, 0.0),
    "more below than right, without of": Case("on the right", [cat(at(200, 250)), dog(at(100, 100))], 0.0, 0.0),
    "right of": Case("on the right of", [cat(RIGHT), dog(LEFT)], 0.85, 0.85),
    "left by one pixel": Case("on the left of", [cat(at(50, 50, 1)), dog(at(51, 50, 1))], 0.85, 0.85),
    # IoU 400 / 40000 is no overlap to speak of, and no direction either.
    "one in the middle of the other": Case("on the left of", [cat(at(150, 150, 20)), dog(at(150, 150, 200))], 0.0, 0.0),
    "near": Case("near", [cat(at(50, 50)), dog(at(150, 50))], 0.85, 0.85),
    "an exact diagonal": Case("on the left of", [cat(at(100, 100)), dog(at(200, 200))], 0.0, 0.85),
    # |dx| = 300, |dy| = 0 is under 150: near on one axis. As a distance 150 / 300: 0.35 + 0.25
    "near along a row": Case("near", [cat(LEFT), dog(RIGHT)], 0.85, 0.6),
    # 150 / max(300, 200): 0.35 + 0.25; the distance is sqrt(130000) = 360.555
    "far on both axes": Case("next to", [cat(at(50, 50)), dog(at(350, 250))], 0.6, 0.35 + 75 / 360.5551275),
    # 150 is not under 150, and 150 / 150 = 1; the distance is 150 * sqrt(2)
    "exactly 150 on both axes": Case("on side of", [cat(at(50, 50)), dog(at(200, 200))], 0.85, 0.35 + 0.5 / 2**0.5),
    # In the script's vocabulary, but in none of its branches.
    "on top of": Case("on top of", [cat(at(150, 50)), dog(at(150, 350))], 0.0, 0.85),
    "on the left, without of": Case("on the left", [cat(LEFT), dog(RIGHT)], 0.0, 0.85),
    "on the right, without of": Case("on the right", [cat(RIGHT), dog(LEFT)], 0.0, 0.85),
    "a word that is none": Case(None, [cat(LEFT), dog(RIGHT)], 0.0, 0.0),
    "no two objects in the prompt": Case("near", [cat(LEFT), dog(RIGHT)], 0.0, 0.0, objects=None),
    # 0.25 * 0.5 + 0.25 * 0.6 + 0 with the first cat, which is right of the dog; 0.225 + 0.15 + 0.5 with the best.
    "the first, not the best": Case("on the left of", [cat(at(430, 150), 0.5), cat(LEFT, 0.9), dog(RIGHT)], 0.0, 0.875),
    # One box is twice the same: dx = 0, 0.2 + 0.2; two boxes: 0.2 + 0.15 + 0.5
    "one noun twice": Case("on the left of", [cat(LEFT), cat(RIGHT, 0.6)], 0.0, 0.85, objects=("cat", "cat")),
    "a girl is looked for as a person": Case(
        "on the left of", [PixelDetection("person", 0.8, LEFT), dog(RIGHT)], 0.85, 0.85, objects=("girl", "dog")
    ),
    "a girl by her own label": Case(
        "on the left of", [PixelDetection("girl", 0.8, LEFT), dog(RIGHT)], 0.0, 0.85, objects=("girl", "dog")
    ),
    "a label of two names": Case(
        "on the left of", [PixelDetection("cattle, cow", 0.8, LEFT), dog(RIGHT)], 0.0, 0.85, objects=("cow", "dog")
    ),
    # The union of two points is 0.
    "boxes without area": Case("on the left of", [cat((10, 10, 10, 10)), dog((20, 10, 20, 10))], CRASH, 0.85),
    # ... whatever is asked
    "boxes without area, no word": Case(None, [cat((10, 10, 10, 10)), dog((20, 10, 20, 10))], CRASH, 0.0),
}


def scored(compute: Callable[[], float]) -> float | str:
    try:
        return compute()
    except UndefinedScoreError as error:
        return error.official_error


def check(case: Case, compute: Callable[[Semantics], float]) -> None:
    found = {semantics: scored(lambda s=semantics: compute(s)) for semantics in ("reference", "corrected")}  # type: ignore[misc]
    assert found["reference"] == pytest.approx(case.reference, abs=1e-9)
    assert found["corrected"] == pytest.approx(case.corrected, abs=1e-9)


@pytest.mark.parametrize("name", PLANE)
def test_spatial(name: str):
    case = PLANE[name]
    check(case, lambda semantics: score_2d(case.word, case.objects, case.seen, semantics).value)


# Ten by ten pixels. EVEN grows to the right and downwards alike, (row + column) / 20, so that the script's swapped
# axes do no harm; SLOPE grows to the right only, column / 10; FLAT has four rows.
EVEN = (np.add.outer(np.arange(10), np.arange(10)) / 20).astype(np.float32)
SLOPE = np.tile(np.arange(10) / 10, (10, 1)).astype(np.float32)
FLAT = SLOPE[:4]
# Rows and columns 0 to 5, mean 0.25, and 2 to 7, mean 0.45: FAR is behind NEAR. IoU 16 / 56, credit 4 / 7.
FAR: PixelBox = (0, 0, 6, 6)
NEAR: PixelBox = (2, 2, 8, 8)
HALF = 2 / 7


@dataclass(frozen=True)
class DeepCase(Case):
    depths: Depths | None = None


DEPTH = {
    # 0.35 + 0.5 * 4 / 7
    "behind": Case("behind", [cat(FAR), dog(NEAR)], 0.35 + HALF, 0.35 + HALF),
    "hidden by is behind": Case("hidden", [cat(FAR), dog(NEAR)], 0.35 + HALF, 0.35 + HALF),
    "in front of": Case("in front of", [cat(NEAR), dog(FAR)], 0.35 + HALF, 0.35 + HALF),
    # No score is cut off under 0.5 here.
    "the wrong order": Case("in front of", [cat(FAR), dog(NEAR)], 0.35, 0.35),
    "one object": Case("behind", [cat(FAR)], 0.2, 0.2),
    "nothing": Case("behind", [], 0.0, 0.0),
    # IoU 25 / 47 is over a half: 0.35 + 0.5
    "much overlap is full credit": Case("behind", [cat(FAR), dog((1, 1, 7, 7))], 0.85, 0.85),
    # IoU 32 / 64: the script's two branches both leave it out
    "overlap of exactly a half": Case("behind", [cat((0, 0, 4, 8)), dog((0, 0, 8, 8))], 0.35, 0.85),
    "no overlap is no depth": Case("behind", [cat((0, 0, 3, 3)), dog((5, 5, 8, 8))], 0.35, 0.35),
    "the same depth is neither": Case("behind", [cat(FAR), dog(FAR)], 0.35, 0.35),
    # Columns 0 to 5 and 3 to 8 differ, rows do not: the script compares rows. IoU 18 / 54, credit 2 / 3.
    "the axes are swapped": DeepCase("behind", [cat(FAR), dog((3, 0, 9, 6))], 0.35, 0.35 + 1 / 3, depths=SLOPE),
    # x from 5 read as rows from 5 of four: the mean of nothing. IoU 8 / 24, credit 2 / 3.
    "read beyond the border": DeepCase(
        "in front of", [cat((5, 0, 9, 4)), dog((3, 0, 7, 4))], 0.35, 0.35 + 1 / 3, depths=FLAT
    ),
    # 0.25 * 0.8 + 0.15 + credit, or the dog alone: 0.25 * 0.6
    "a car in a carpet": Case(
        "behind", [PixelDetection("carpet", 0.8, FAR), dog(NEAR)], 0.35 + HALF, 0.15, objects=("car", "dog")
    ),
    # The second cat is the last before a dog shows: 0.25 * 0.5 + 0.15 + credit. The best one is in front of the dog.
    "the last match before the other": Case(
        "behind", [cat((7, 7, 9, 9), 0.9), cat(FAR, 0.5), dog(NEAR)], 0.275 + HALF, 0.375
    ),
    # With the dog seen before any cat, the first cat ends the loop.
    "the first match behind the other": Case(
        "behind", [dog(NEAR), cat(FAR, 0.5), cat((7, 7, 9, 9), 0.9)], 0.275 + HALF, 0.375
    ),
    "the second object alone": Case("behind", [dog(NEAR)], 0.15, 0.15),
    # One alone is its first match: 0.25 * 0.5; the best: 0.25 * 0.9
    "of one object the first match": Case("behind", [cat(NEAR, 0.5), cat(FAR, 0.9)], 0.125, 0.225),
    "boxes without area": Case("behind", [cat((3, 3, 3, 3)), dog((5, 5, 5, 5))], CRASH, 0.35),
    "a word that is none": Case(None, [cat(FAR), dog(NEAR)], 0.35, 0.35),
    "a woman is a person": Case(
        "behind", [PixelDetection("person", 0.8, FAR), dog(NEAR)], 0.35 + HALF, 0.35 + HALF, objects=("woman", "dog")
    ),
}


@pytest.mark.parametrize("name", DEPTH)
def test_3d_spatial(name: str):
    case = DEPTH[name]
    depths = getattr(case, "depths", None)
    objects = case.objects or CAT_DOG
    check(
        case,
        lambda semantics: score_3d(case.word, objects, case.seen, EVEN if depths is None else depths, semantics).value,
    )


RAMP: Depths = np.tile(np.arange(10, dtype=np.float32) / 10, (6, 1))
"""10 pixels wide; a column's value is a tenth of its place."""


@pytest.mark.parametrize(
    ("word", "first", "second", "credit"),
    [
        # Means of columns 8 and 9, and of column 9 alone, the last that there is. IoU 18 / 23, over a half.
        ("behind", (8, 0, 30, 4), (12, 0, 31, 4), 1.0),
        # Columns 0 and 1 against column 0, the first that there is. IoU 6 / 11.
        ("in front of", (-9, 0, 2, 4), (-9, 0, -3, 4), 1.0),
        # Between columns both are touched: 2.5 against 3 and 2 against 2.5. IoU 1 / 3.
        ("behind", (2.5, 0, 3.5, 4), (3, 0, 4, 4), 2 / 3),
        ("in front of", (2.5, 0, 3.5, 4), (2, 0, 3, 4), 2 / 3),
        # Rows beyond the border are the last row.
        ("behind", (2, 5, 4, 9), (3, 5, 5, 9), 2 / 3),
        ("behind", (2, 7, 4, 9), (3, 7, 5, 9), 2 / 3),
        # Not square: 4 columns and 2 rows, an overlap of 2 by 2.
        ("behind", (1, 1, 5, 3), (3, 1, 7, 3), 2 / 3),
        # Side by side, nothing overlaps.
        ("behind", (2, 0, 4, 4), (4, 0, 6, 4), 0.0),
    ],
)
def test_3d_spatial_corrected_at_the_border(word: str, first: PixelBox, second: PixelBox, credit: float):
    assert relation_3d(word, first, second, RAMP, "corrected") == pytest.approx(credit)


def test_a_map_has_256_levels():
    """0.5 * 255 is 127.5, and cut to 127; what has been resized lies between the levels."""
    assert depth_levels(np.array([0.0, 0.5, 1.0], np.float32)).tolist() == pytest.approx([0.0, 127 / 255, 1.0])
    half = in_frame(np.full((4, 4), 0.5, np.float32), (6, 8))
    assert half.shape == (8, 6)
    assert half == pytest.approx(127 / 255)


def test_a_prompt_without_a_noun_ends_the_script():
    with pytest.raises(UndefinedScoreError) as caught:
        first_and_last_noun([])
    assert caught.value.official_error == "IndexError"
