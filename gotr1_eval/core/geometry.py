"""Pure geometry of boxes: overlap, distance, and how well a spatial relation holds, softly.

The soft relation scores are this project's own. At 0.5 they cut where T2I-CompBench's 2D rule cuts
(right direction, the named axis dominates, little overlap); above and below they grade, so that a
reinforcement-learning reward has a slope.
"""

from __future__ import annotations

import math
from enum import StrEnum

from gotr1_eval.core.types import Box


class Relation(StrEnum):
    """A relation between two objects in the plane of the picture, read "subject <relation> object"."""

    LEFT_OF = "left of"
    RIGHT_OF = "right of"
    ABOVE = "above"
    BELOW = "below"
    NEAR = "near"


# T2I-CompBench lets two boxes overlap up to this intersection over union, and beyond it credits 0.1 / IoU.
FREE_OVERLAP = 0.1


def intersection(a: Box, b: Box) -> float:
    """Area shared by two boxes, as a share of the picture."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(width, 0.0) * max(height, 0.0)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1]; 0 when both boxes have no area."""
    shared = intersection(a, b)
    union = a.area + b.area - shared
    return min(shared / union, 1.0) if union > 0 else 0.0


def gap(a: Box, b: Box) -> float:
    """Euclidean distance between the nearest edges of two boxes, 0 when they touch or overlap."""
    dx = max(a.x1 - b.x2, b.x1 - a.x2, 0.0)
    dy = max(a.y1 - b.y2, b.y1 - a.y2, 0.0)
    return math.hypot(dx, dy)


def direction_score(relation: Relation, subject: Box, other: Box) -> float:
    """How far `subject` lies in the named direction of `other`, in [0, 1].

    1 when the centres differ along the named axis alone, 0.5 on the diagonal, 0 in the opposite direction.
    Coinciding centres name no direction: 0.
    """
    (sx, sy), (ox, oy) = subject.center, other.center
    along, across = {
        Relation.LEFT_OF: (ox - sx, oy - sy),
        Relation.RIGHT_OF: (sx - ox, sy - oy),
        Relation.ABOVE: (oy - sy, ox - sx),
        Relation.BELOW: (sy - oy, sx - ox),
    }[relation]
    total = abs(along) + abs(across)
    return (1 + (along - abs(across)) / total) / 2 if total > 0 else 0.0


def separation_score(a: Box, b: Box) -> float:
    """1 up to an IoU of 0.1, then 0.1 / IoU: two objects on top of each other hold no direction."""
    overlap = iou(a, b)
    return 1.0 if overlap <= FREE_OVERLAP else FREE_OVERLAP / overlap


def nearness_score(a: Box, b: Box) -> float:
    """1 when the boxes touch, halved for every gap as wide as their mean size; never more than their separation."""
    size = (math.sqrt(a.area) + math.sqrt(b.area)) / 2
    if size == 0:
        return 0.0
    return min(math.exp2(-gap(a, b) / size), separation_score(a, b))


def relation_score(relation: Relation, subject: Box, other: Box) -> float:
    """How well "subject <relation> other" holds, in [0, 1]; 0.5 is the verdict's threshold.

    The lesser of direction and separation, so that at the threshold both must hold.
    """
    if relation is Relation.NEAR:
        return nearness_score(subject, other)
    return min(direction_score(relation, subject, other), separation_score(subject, other))
