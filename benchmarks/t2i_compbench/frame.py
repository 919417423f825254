"""The frame in which T2I-CompBench's detectors answer, and the overlap of boxes in it.

Its thresholds (150 pixels, one pixel added to a length) are in pixels of the resized picture that UniDet saw: shorter
side 479, no side above 480.
"""

from __future__ import annotations

from benchmarks.pixels import PixelBox
from benchmarks.semantics import UndefinedScoreError

SHORTER_SIDE = 479
LONGER_SIDE = 480


def unidet_frame(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the resized picture that the official detectors see (model_bank.py; torchvision's `Resize`).

    Sides are cut to whole pixels, the shorter one after the longer one was. A side has at least one pixel.
    """
    short, long = sorted((width, height))
    shorter, longer = SHORTER_SIDE, int(SHORTER_SIDE * long / short)
    if longer > LONGER_SIDE:
        shorter, longer = max(1, int(LONGER_SIDE * shorter / longer)), LONGER_SIDE
    return (shorter, longer) if width <= height else (longer, shorter)


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
