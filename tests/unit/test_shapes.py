"""The shapes world: prompts read back, splits, drawing, and the detector against known scenes."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pytest
from PIL import Image

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.geometry import iou
from gotr1_eval.core.types import Box
from gotr1_eval.shapes.detecting import ShapesDetector, find_objects
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import Fault, random_scene, scene_for, write_scene_chain
from gotr1_eval.shapes.prompts import CATEGORIES, prompts
from gotr1_eval.shapes.scene import Kind, Placed, Scene, read_kind
from gotr1_eval.shapes.statements import Stated, Statement, read_prompt, write_prompt


@pytest.mark.parametrize("category", CATEGORIES)
def test_splits_are_large_disjoint_and_readable(category: str):
    train, val = prompts(category, "train"), prompts(category, "val")
    assert len(val) == 300 == len(set(val))
    assert len(train) >= 250
    assert not set(train) & set(val)
    for prompt in (*val, *train[:300]):
        statement = read_prompt(prompt)
        assert statement is not None
        assert write_prompt(statement) == prompt
        assert 1 <= len(statement.kinds) <= 6


def test_no_prompt_stands_in_two_categories():
    listed = [prompt for category in CATEGORIES for prompt in prompts(category, "val")]
    assert len(set(listed)) == len(listed)
    train = {prompt for category in CATEGORIES for prompt in prompts(category, "train")}
    assert not train & set(listed)


@pytest.mark.parametrize(
    "prompt",
    ["", "a red hat", "two", "a red circle and", "a red circle on the left of", "seven red circles", "red circle"],
)
def test_other_sentences_are_not_read(prompt: str):
    assert read_prompt(prompt) is None


def test_reading_by_hand():
    statement = read_prompt("A striped red circle on the left of a blue square and two green crosses.")
    assert statement is not None
    assert statement.groups == (
        Stated(Kind("circle", "red", "striped")),
        Stated(Kind("square", "blue")),
        Stated(Kind("cross", "green"), 2),
    )
    assert read_kind("a hat") is None
    assert read_kind("red blue circle") is None


def share_right(count: int, side: int, alter: Callable[[Image.Image], Image.Image] = lambda picture: picture) -> float:
    """Share of random scenes' objects whose label is right and whose box has an IoU above 0.9."""
    rng = random.Random(11)
    right = total = 0
    for index in range(count):
        scene = random_scene(rng, 1 + index % 6)
        found = find_objects(alter(draw_scene(scene, side)))
        for placed in scene.objects:
            total += 1
            right += any(kind == placed.kind and iou(box, placed.box) > 0.9 for kind, box, _ in found)
    return right / total


def jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


@pytest.mark.slow
def test_the_detector_finds_a_thousand_scenes(record_property: Callable[[str, object], None]):
    assert share_right(1000, 64) >= 0.99
    assert share_right(100, 384) >= 0.99
    # Reported in docs/results.md; held here only against falling apart.
    assert share_right(200, 64, jpeg) >= 0.9
    assert share_right(200, 128, jpeg) >= 0.97


def test_touching_objects_of_two_colours_are_told_apart():
    scene = Scene(
        (
            Placed(Kind("square", "red", "solid"), Box(0.25, 0.25, 0.5, 0.5)),
            Placed(Kind("square", "blue", "solid"), Box(0.5, 0.25, 0.75, 0.5)),
        )
    )
    assert sorted(kind.name for kind, _, _ in find_objects(draw_scene(scene))) == [
        "solid blue square",
        "solid red square",
    ]


def test_queries_may_leave_things_open():
    scene = Scene((Placed(Kind("circle", "red", "striped"), Box(0.25, 0.25, 0.5, 0.5)),))
    detector = ShapesDetector()
    labels = ["circle", "red circle", "two striped circles", "blue circle", "solid circle", "cat"]
    (found,) = detector.detect([draw_scene(scene)], [labels])
    assert [seen.label for seen in found] == labels[:3]
    assert detector.detect([draw_scene(scene)])[0][0].label == "striped red circle"


def test_an_empty_picture_holds_nothing():
    assert find_objects(Image.new("RGB", (64, 64), "white")) == []
    assert find_objects(Image.new("RGB", (1, 1), "white")) == []


@pytest.mark.parametrize("category", CATEGORIES)
def test_scenes_fulfil_their_statement(category: str):
    rng = random.Random(3)
    for prompt in prompts(category, "val")[:20]:
        statement = read_prompt(prompt)
        assert statement is not None
        scene = scene_for(statement, rng)
        assert all(kind.fits(placed.kind) for kind, placed in zip(statement.kinds, scene.objects, strict=True))
        chain = parse_chain(write_scene_chain(scene, statement))
        assert [name for name, _ in chain.boxed] == [placed.name for placed in scene.objects]
        assert chain.defects == ()


def test_faults_break_what_they_say():
    statement = Statement((Stated(Kind("circle", "red")), Stated(Kind("square", "blue"))))
    rng = random.Random(4)
    assert len(scene_for(statement, rng, frozenset({Fault.MISSING})).objects) == 1
    altered = scene_for(statement, rng, frozenset({Fault.ATTRIBUTE}))
    assert sum(k.fits(p.kind) for k, p in zip(statement.kinds, altered.objects, strict=True)) == 1
