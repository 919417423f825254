"""Scene -> pixels, at any size, without anti-aliasing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.types import Box
from gotr1_eval.shapes.scene import COLOURS, GRID, Placed, Scene

BACKGROUND = (255, 255, 255)
SHADE = 0.45
"""A texture's pattern is the object's colour darkened to this; black is lightened instead."""


def draw_scene(scene: Scene, side: int = 64) -> Image.Image:
    """The scene as a square RGB picture of `side` pixels."""
    pixels = np.full((side, side, 3), BACKGROUND, dtype=np.uint8)
    for placed in scene.objects:
        _draw(pixels, placed)
    return Image.fromarray(pixels)


def pixel_box(box: Box, side: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in pixels, right and bottom exclusive."""
    x1, y1, x2, y2 = (round(value * side) for value in box.corners)
    return (x1, y1, x2, y2)


def shape_mask(shape: str, height: int, width: int) -> NDArray[np.bool_]:
    """Which of the height x width pixels of its box a shape covers (tested at pixel centres)."""
    y, x = np.ogrid[0:height, 0:width]
    v = (y + 0.5) / height * 2 - 1
    u = (x + 0.5) / width * 2 - 1
    mask = {
        "circle": lambda: u**2 + v**2 <= 1,
        "square": lambda: (abs(u) <= 1) & (abs(v) <= 1),
        # The slack of half a pixel keeps the tips of triangle and diamond inside their box.
        "triangle": lambda: abs(u) <= (v + 1) / 2 + 1 / (2 * width),
        "diamond": lambda: abs(u) + abs(v) <= 1 + 1 / min(height, width),
        "cross": lambda: (abs(u) <= 0.36) | (abs(v) <= 0.36),
    }[shape]()
    return np.asarray(mask, dtype=np.bool_)


def _draw(pixels: NDArray[np.uint8], placed: Placed) -> None:
    side = pixels.shape[0]
    left, top, right, bottom = pixel_box(placed.box, side)
    if right <= left or bottom <= top:
        return
    colour = np.array(COLOURS[placed.kind.colour or "black"])
    shade = np.array((130, 130, 130)) if placed.kind.colour == "black" else colour * SHADE
    pattern = _pattern(placed.kind.texture, side)[top:bottom, left:right]
    fill = np.where(pattern[..., None], shade, colour).astype(np.uint8)
    mask = shape_mask(placed.kind.shape, bottom - top, right - left)
    region = pixels[top:bottom, left:right]
    region[mask] = fill[mask]


def _pattern(texture: str | None, side: int) -> NDArray[np.bool_]:
    """Where the pattern is dark. Its phase is the picture's, not the object's: few distinct patches."""
    half = max(side // (4 * GRID), 1)
    row, column = (np.arange(side) // half % 2 == 1)[:, None], (np.arange(side) // half % 2 == 1)[None, :]
    if texture == "striped":
        return np.broadcast_to(row, (side, side))
    if texture == "dotted":
        return np.asarray(row & column)
    return np.zeros((side, side), dtype=np.bool_)
