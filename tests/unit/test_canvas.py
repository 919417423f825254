"""The drawn plan: deterministic, labelled inside the canvas, legible with many overlapping boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gotr1_eval.core.canvas import draw_plan, object_colour
from gotr1_eval.core.types import Box


def test_the_same_plan_gives_the_same_bytes():
    plan = [("yellow vase", Box(0.2, 0.48, 0.73, 0.96)), ("tablecloth", Box(0, 0.64, 1, 1))]
    assert draw_plan(plan).tobytes() == draw_plan(plan).tobytes()
    assert draw_plan(plan).tobytes() != draw_plan(plan[::-1]).tobytes()


def test_a_box_is_outlined_where_it_is():
    picture = draw_plan([("x", Box(0.25, 0.5, 0.75, 1.0))], side=400)
    colour = object_colour(0)
    assert picture.getpixel((299, 300)) == colour
    assert picture.getpixel((200, 399)) == colour
    assert picture.getpixel((200, 300)) == (255, 255, 255)
    assert picture.getpixel((50, 50)) == (255, 255, 255)


def test_colours_are_distinct_and_dark_enough_for_white_text():
    colours = [object_colour(index) for index in range(12)]
    assert len(set(colours)) == 12
    for red, green, blue in colours:
        linear = [(c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in (red, green, blue)]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) > 4.4, (red, green, blue)


def test_twelve_labels_at_one_corner_all_stay_legible():
    """Every label is a filled patch of its own colour that no other one covers."""
    plan = [(f"object number {index}", Box(0.3, 0.3, 0.6 + index / 50, 0.6 + index / 50)) for index in range(12)]
    pixels = np.asarray(draw_plan(plan))
    alone = np.asarray(draw_plan([("object number 0", Box(0.3, 0.3, 0.3, 0.3))]))
    label = int((alone == object_colour(0)).all(axis=2).sum())
    for index in range(12):
        assert int((pixels == object_colour(index)).all(axis=2).sum()) > 0.95 * label, index


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=4000))
def test_any_name_can_be_drawn(name: str):
    assert draw_plan([(name, Box(0.9, 0.9, 1, 1))], side=256).size == (256, 256)


@pytest.mark.parametrize("box", [Box(0, 0, 0, 0), Box(1, 1, 1, 1), Box(0, 0, 1, 1)])
def test_degenerate_boxes_are_drawn(box: Box):
    drawn = draw_plan([("x", box)])
    assert drawn.tobytes() != draw_plan([]).tobytes(), "something of it is seen"
