"""Detections in pixels of a frame, as the official scripts compute with them.

Core boxes are fractions of the picture; `to_pixels` multiplies them by a frame and rounds to float32. A detector's
coordinates are float32 pixels, and dividing and multiplying in float64 moves them by two units of 2**-53 at most, so
that this rounding gives every coordinate back exactly and no threshold flips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.types import Detection

PixelBox = tuple[float, float, float, float]
"""(x1, y1, x2, y2) in pixels of the frame, y downwards; corners as the detector gave them."""


@dataclass(frozen=True, slots=True)
class PixelDetection:
    """A detection in pixels: what, how surely, where; and its mask, bool [height, width] of the picture, or None."""

    label: str
    score: float
    box: PixelBox
    mask: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)


def to_pixels(detections: Iterable[Detection], frame: tuple[int, int]) -> list[PixelDetection]:
    """The detections in pixels of a frame of (width, height), in the detector's order."""
    width, height = frame
    return [
        PixelDetection(found.label, found.score, _pixels(found.box.corners, (width, height, width, height)), found.mask)
        for found in detections
    ]


def _pixels(corners: Sequence[float], scale: Sequence[int]) -> PixelBox:
    x1, y1, x2, y2 = (float(np.float32(value * side)) for value, side in zip(corners, scale, strict=True))
    return x1, y1, x2, y2
