"""T2I-CompBench's 2D-spatial score of one picture, from detections in pixels (UniDet_eval/2D_spatial_eval.py).

A picture scores a quarter of each object's confidence and half of how well the relation holds; below 0.5 it scores 0.
So one object, or both in a wrong relation, is 0 (unless both confidences are exactly 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.pixels import PixelBox, PixelDetection
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.frame import center, iou
from benchmarks.t2i_compbench.labels import PEOPLE, find_all, first_exact

NEAR = frozenset({"next to", "near", "on side of"})
DIRECTIONS = {
    "on the right of": (1, 0),
    "on the left of": (-1, 0),
    "on the bottom of": (0, 1),
    "on the top of": (0, -1),
}
"""Relation word -> direction in which the first object lies from the second, y downwards."""
CORRECTED_DIRECTIONS = {**DIRECTIONS, "on top of": (0, -1), "on the left": (-1, 0), "on the right": (1, 0)}

DISTANCE = 150.0
"""Pixels of the detector's frame under which two objects are near."""
OVERLAP = 0.1
"""IoU from which the credit for a direction falls, as `OVERLAP` / IoU."""
LEAST = 0.5
"""Lower scores count as 0."""


Pair = tuple[PixelDetection | None, PixelDetection | None]
"""What was found of a prompt's first object, and of its second."""


@dataclass(frozen=True, slots=True)
class SpatialScore:
    """A picture's score, and what it is made of: the two boxes that were compared (None: not found) and the relation's
    credit."""

    value: float
    first: PixelDetection | None
    second: PixelDetection | None
    relation: float


def relation_2d(word: str | None, first: PixelBox, second: PixelBox, semantics: Semantics = "reference") -> float:
    """How well the relation holds between two boxes, in [0, 1] for boxes with area.

    Args:
        word: the relation word as it stands in the prompt; an unknown one scores 0.

    Raises:
        UndefinedScoreError: `reference`, and the union of the boxes has no area (whatever the word).
    """
    if semantics == "corrected":
        return _relation_corrected(word, first, second)
    overlap = iou(first, second)
    dx, dy = _offset(first, second)
    if word in NEAR:
        near = abs(dx) < DISTANCE or abs(dy) < DISTANCE
        return 1.0 if near else DISTANCE / max(abs(dx), abs(dy))
    if word not in DIRECTIONS:
        return 0.0
    right, down = DIRECTIONS[word]
    along, across = (dx * right, dy) if right else (dy * down, dx)
    if along > 0 and along > abs(across):
        return 1.0 if overlap < OVERLAP else OVERLAP / overlap
    return 0.0


def _relation_corrected(word: str | None, first: PixelBox, second: PixelBox) -> float:
    """Near is a distance between centres; an exact diagonal holds; "on top of" is "on the top of"."""
    try:
        overlap = iou(first, second)
    except UndefinedScoreError:
        overlap = 0.0
    dx, dy = _offset(first, second)
    if word in NEAR:
        distance = math.hypot(dx, dy)
        return 1.0 if distance < DISTANCE else DISTANCE / distance
    if word not in CORRECTED_DIRECTIONS:
        return 0.0
    right, down = CORRECTED_DIRECTIONS[word]
    along, across = (dx * right, dy) if right else (dy * down, dx)
    if along > 0 and along >= abs(across):
        return 1.0 if overlap < OVERLAP else OVERLAP / overlap
    return 0.0


def _offset(first: PixelBox, second: PixelBox) -> tuple[float, float]:
    """From the second box's centre to the first's."""
    (x1, y1), (x2, y2) = center(first), center(second)
    return x1 - x2, y1 - y2


def score_2d(
    word: str | None,
    objects: tuple[str, str] | None,
    seen: Sequence[PixelDetection],
    semantics: Semantics = "reference",
) -> SpatialScore:
    """The score of one picture, in [0, 1].

    Args:
        word: the relation word.
        objects: the two names as they stand in the prompt; None (the parse found no two) scores 0.
        seen: the detections in the detector's order, best first.

    Raises:
        UndefinedScoreError: see `relation_2d`.
    """
    if objects is None:
        return SpatialScore(0.0, None, None, 0.0)
    first, second = _find_pair(objects, seen) if semantics == "reference" else best_pair(objects, seen)
    relation = 0.0
    if first is not None and second is not None:
        relation = relation_2d(word, first.box, second.box, semantics)
    value = sum(0.25 * found.score for found in (first, second) if found is not None) + relation / 2
    return SpatialScore(0.0 if value < LEAST else value, first, second, relation)


def _find_pair(objects: tuple[str, str], seen: Sequence[PixelDetection]) -> Pair:
    first, second = (first_exact(PEOPLE.get(name, name), seen) for name in objects)
    return first, second


def best_pair(objects: tuple[str, str], seen: Sequence[PixelDetection]) -> Pair:
    """The best detection of each; of one name twice the two best, each box used once."""
    first = next(iter(find_all(objects[0], seen)), None)
    second = next((found for found in find_all(objects[1], seen) if found is not first), None)
    return first, second
