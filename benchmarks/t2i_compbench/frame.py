"""Boxes in the frame in which T2I-CompBench's detectors answer (`gotr1_eval.core.frames`): their middle and overlap.

Its thresholds (150 pixels, one pixel added to a length) are in pixels of this frame.
"""

from __future__ import annotations

from benchmarks.pixels import PixelBox
from benchmarks.semantics import UndefinedScoreError


def center(box: PixelBox) -> tuple[float, float]:
    """The middle of the box, (x, y)."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def iou(one: PixelBox, other: PixelBox) -> float:
    """Intersection over union of the continuous boxes.

    Raises:
        UndefinedScoreError: the union has no area, where the official scripts divide by zero.
    """
    width = max(min(one[2], other[2]) - max(one[0], other[0]), 0.0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]), 0.0)
    shared = width * height
    union = _area(one) + _area(other) - shared
    if union == 0:
        raise UndefinedScoreError("two boxes without area have no overlap", "ZeroDivisionError")
    return shared / union


def _area(box: PixelBox) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
