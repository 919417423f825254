"""The size at which Qwen's models look at a picture, without their processor."""

from __future__ import annotations

import math


def smart_resized(size: tuple[int, int], *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(width, height) after Qwen's resizing: multiples of `factor`, an area between the two limits, shape nearly kept.

    The rule of transformers' `smart_resize` (models/qwen2_vl), to which a test holds this one.

    Args:
        size: (width, height) in pixels.
        factor: side of what becomes one token, in pixels: 28 for Qwen2-VL and Qwen2.5-VL.
    """
    area = size[0] * size[1]
    # Python rounds halves to even, as does the original.
    width, height = (round(side / factor) * factor for side in size)
    if width * height > max_pixels:
        shrink = math.sqrt(area / max_pixels)
        width, height = (max(factor, math.floor(side / shrink / factor) * factor) for side in size)
    elif width * height < min_pixels:
        grow = math.sqrt(min_pixels / area)
        width, height = (math.ceil(side * grow / factor) * factor for side in size)
    return width, height
