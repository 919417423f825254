"""Decoding and resizing as OpenCV does it, byte for byte, without OpenCV.

Pillow's bilinear resize averages over all pixels that fall into one (up to 48 levels away from OpenCV's when a picture
shrinks), torch's rounds differently (1 level in some hundredths of the values). Source: OpenCV 4.7's ``imdecode`` and
``resize`` with ``INTER_LINEAR`` on 8 bits, described by their results.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gotr1_eval.files.pictures import to_rgb

Levels = NDArray[np.uint8]
"""[height, width, 3]: red, green, blue (OpenCV itself keeps them in the opposite order)."""
_ONE = 2048
"""The weight 1 in the fixed-point sums: 11 fractional bits."""


def decode(picture: Image.Image) -> Levels:
    """The picture as OpenCV's ``IMREAD_COLOR`` reads its file.

    Upright by its EXIF orientation; transparency is dropped, not laid over a colour; of 16-bit greys the high byte.
    A picture that is RGB already, as every judge opens it, is taken as it is.
    """
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        high = (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(high[:, :, None], 3, axis=2)
    if upright.mode == "I":
        upright = to_rgb(upright)
    return np.asarray(upright.convert("RGB"), dtype=np.uint8)


def resize_linear(levels: Levels, size: tuple[int, int]) -> Levels:
    """Resized bilinearly to (width, height), without antialiasing."""
    height, width = levels.shape[:2]
    if (width, height) == size:
        return levels
    if (width, height) == (2 * size[0], 2 * size[1]):
        quads = levels.reshape(size[1], 2, size[0], 2, 3).astype(np.uint16).sum(axis=(1, 3))
        mean: Levels = ((quads + 2) >> 2).astype(np.uint8)
        return mean
    return _blend_rows(_blend_columns(levels.astype(np.int32), size[0]), size[1])


def _blend_columns(levels: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    """[height, width, 3] in 2048ths of a level. Beyond the middle of a border pixel there is only that pixel."""
    source = levels.shape[1]
    start, part = _places(source, width)
    part[(start < 0) | (start >= source - 1)] = 0
    start = start.clip(0, source - 1)
    near, far = _weights(part)
    ahead = (start + 1).clip(max=source - 1)
    return levels[:, start] * near[:, None] + levels[:, ahead] * far[:, None]


def _blend_rows(sums: NDArray[np.int32], height: int) -> Levels:
    """Rows keep their weights at the borders, where both are of the same pixel: rounding comes out differently."""
    source = sums.shape[0]
    start, part = _places(source, height)
    near, far = _weights(part)
    coarse = sums >> 4
    above = (coarse[start.clip(0, source - 1)] * near[:, None, None]) >> 16
    below = (coarse[(start + 1).clip(0, source - 1)] * far[:, None, None]) >> 16
    blended: Levels = ((above + below + 2) >> 2).astype(np.uint8)
    return blended


def _places(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each target pixel the source pixel before its middle, and how far behind that pixel's middle it lies."""
    scale = 1.0 / (target / source)
    middles = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    start = np.floor(middles)
    return start.astype(np.int64), middles - start


def _weights(part: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    near = np.rint((np.float32(1) - part) * np.float32(_ONE))
    return near.astype(np.int32), np.rint(part * np.float32(_ONE)).astype(np.int32)
