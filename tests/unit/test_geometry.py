"""Boxes and relations, by hand and by property."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gotr1_eval.core.geometry import Relation, gap, iou, relation_score
from gotr1_eval.core.types import Box

# On the grid of the chains: differences of a rounding error have no direction.
_unit = st.integers(0, 1000).map(lambda value: value / 1000)
boxes = st.tuples(_unit, _unit, _unit, _unit).map(lambda v: Box.clipped(*v))
OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}


@pytest.mark.parametrize("corners", [(0.5, 0, 0.4, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 0, math.nan, 1)])
def test_a_box_must_be_a_box(corners: tuple[float, float, float, float]):
    with pytest.raises(ValueError, match="0 <= x1 <= x2 <= 1"):
        Box(*corners)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Box(0, 0, 0.5, 0.5), Box(0, 0, 0.5, 0.5), 1.0),
        (Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1), 0.0),
        (Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1), 1 / 3),
        (Box(0, 0, 1, 1), Box(0.25, 0.25, 0.75, 0.75), 0.25),
        (Box(0.1, 0.1, 0.1, 0.1), Box(0.1, 0.1, 0.1, 0.1), 0.0),
    ],
)
def test_iou_by_hand(a: Box, b: Box, expected: float):
    assert iou(a, b) == pytest.approx(expected, abs=1e-12)


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(a: Box, b: Box):
    assert 0 <= iou(a, b) <= 1
    assert iou(a, b) == iou(b, a)


def test_gap_by_hand():
    assert gap(Box(0, 0, 0.1, 0.1), Box(0.4, 0.5, 0.6, 0.6)) == pytest.approx(0.5)
    assert gap(Box(0, 0, 0.5, 0.5), Box(0.4, 0.4, 1, 1)) == 0


@pytest.mark.parametrize(
    ("relation", "subject", "other", "expected"),
    [
        (Relation.LEFT_OF, Box(0, 0.4, 0.2, 0.6), Box(0.8, 0.4, 1, 0.6), 1.0),
        (Relation.RIGHT_OF, Box(0, 0.4, 0.2, 0.6), Box(0.8, 0.4, 1, 0.6), 0.0),
        (Relation.ABOVE, Box(0.4, 0, 0.6, 0.2), Box(0.4, 0.8, 0.6, 1), 1.0),
        (Relation.BELOW, Box(0.4, 0, 0.6, 0.2), Box(0.4, 0.8, 0.6, 1), 0.0),
        (Relation.LEFT_OF, Box(0, 0, 0.2, 0.2), Box(0.8, 0.8, 1, 1), 0.5),
        (Relation.LEFT_OF, Box(0, 0, 0.2, 0.2), Box(0.6, 0.2, 0.8, 0.4), 0.75),
        (Relation.LEFT_OF, Box(0, 0, 1, 1), Box(0, 0, 1, 1), 0.0),
        (Relation.LEFT_OF, Box(0, 0, 0.6, 1), Box(0.2, 0, 0.8, 1), 0.2),
        (Relation.NEAR, Box(0, 0, 0.2, 0.2), Box(0.2, 0, 0.4, 0.2), 1.0),
        (Relation.NEAR, Box(0, 0, 0.2, 0.2), Box(0.4, 0, 0.6, 0.2), 0.5),
        (Relation.NEAR, Box(0, 0, 0.2, 0.2), Box(0.8, 0, 1.0, 0.2), 0.125),
    ],
)
def test_relations_by_hand(relation: Relation, subject: Box, other: Box, expected: float):
    assert relation_score(relation, subject, other) == pytest.approx(expected)


@given(boxes, boxes, st.sampled_from(list(OPPOSITE)))
def test_a_relation_is_its_opposite_seen_from_the_other_side(a: Box, b: Box, relation: Relation):
    assert relation_score(relation, a, b) == relation_score(OPPOSITE[relation], b, a)


@given(boxes, boxes)
def test_mirroring_swaps_left_and_right(a: Box, b: Box):
    mirrored = [Box(1 - box.x2, box.y1, 1 - box.x1, box.y2) for box in (a, b)]
    expected = relation_score(Relation.RIGHT_OF, a, b)
    assert relation_score(Relation.LEFT_OF, *mirrored) == pytest.approx(expected, abs=1e-9)


@given(boxes, boxes, st.sampled_from(list(OPPOSITE)))
def test_a_relation_and_its_opposite_never_both_hold(a: Box, b: Box, relation: Relation):
    assume(a.center != b.center)
    held, opposite = relation_score(relation, a, b), relation_score(OPPOSITE[relation], a, b)
    assert min(held, opposite) < 0.5 or held == opposite == 0.5
