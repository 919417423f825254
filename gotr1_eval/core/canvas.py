"""Drawing boxes: a plan on a blank canvas for the spatial judge, or over a picture for people.

Deterministic: the same plan gives the same bytes. The font is Pillow's own, always there.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from gotr1_eval.core.types import Box

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

CANVAS_SIDE = 1024
"""Pixels of the blank canvas: large enough for legible labels after a judge's own downscaling."""

LEAST_CONTRAST = 4.5
"""Of a label's white text on its object's colour: WCAG's limit for text."""

_GOLDEN_TURN = 0.618033988749895


def object_colour(index: int) -> Colour:
    """The colour of the index-th object: neighbours far apart in hue, each as light as white text allows."""
    hue = (0.02 + index * _GOLDEN_TURN) % 1.0
    shades = (colorsys.hls_to_rgb(hue, lightness / 100, 0.85) for lightness in range(45, -1, -1))
    lightest = next(shade for shade in shades if _contrast_with_white(shade) >= LEAST_CONTRAST)
    red, green, blue = (round(channel * 255) for channel in lightest)
    return (red, green, blue)


def _contrast_with_white(channels: tuple[float, float, float]) -> float:
    """Contrast ratio of a colour (channels in [0, 1]) to white, 1 to 21, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def hex_colour(index: int) -> str:
    """`object_colour` as HTML writes it."""
    return "#{:02x}{:02x}{:02x}".format(*object_colour(index))


def draw_plan(
    objects: Sequence[tuple[str, Box]],
    side: int = CANVAS_SIDE,
    *,
    first_colour: int = 0,
    label_scale: float = 1.0,
) -> Image.Image:
    """The plan on a white square canvas, each box labelled with its object's name at its top-left corner.

    Labels never leave the canvas and never cover one another while there is room: one that would is moved down
    along its box's left edge, or else up.

    Args:
        objects: (name, box) in the plan's order, which decides the colours.
        side: width and height of the canvas in pixels.
        first_colour: which `object_colour` the first object has.
        label_scale: size of the labels, 1 for the usual one.
    """
    canvas = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(canvas)
    line = max(2, side // 256)
    for index, (_, box) in enumerate(objects):
        pen.rectangle(_pixels(box, side), outline=object_colour(first_colour + index), width=line)
    labels = _Labels(pen, side, label_scale)
    for index, (name, box) in enumerate(objects):
        labels.add(name, _pixels(box, side)[:2], object_colour(first_colour + index))
    return canvas


def _pixels(box: Box, side: int) -> tuple[int, int, int, int]:
    """Pixel corners, both inside the canvas."""
    x1, y1, x2, y2 = (min(round(value * side), side - 1) for value in box.corners)
    return (x1, y1, x2, y2)


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


class _Labels:
    """The labels of one canvas, each placed where it covers no earlier one."""

    def __init__(self, pen: ImageDraw.ImageDraw, side: int, scale: float) -> None:
        self.pen = pen
        self.side = side
        self.scale = scale
        self.pad = max(2, side // 256)
        self.placed: list[tuple[int, int, int, int]] = []

    def add(self, name: str, corner: tuple[int, int], colour: Colour) -> None:
        text, font = self._fitted(name)
        left, top, right, bottom = self.pen.textbbox((0, 0), text, font=font)
        width, height = int(right - left) + 2 * self.pad, int(bottom - top) + 2 * self.pad
        x = max(0, min(corner[0], self.side - width))
        y = self._free_row(x, min(corner[1], self.side - height), width, height)
        self.placed.append((x, y, x + width, y + height))
        self.pen.rectangle((x, y, x + width, y + height), fill=colour)
        self.pen.text((x + self.pad - left, y + self.pad - top), text, font=font, fill="white")

    def _fitted(self, name: str) -> tuple[str, Font]:
        """The name in the largest font that keeps it within half the canvas; cut when even the least does not."""
        # A name as long as a chapter would take minutes to measure; no canvas shows more than this much of it.
        text = " ".join(name.split())[:200] or "?"
        for size in (self.side // 36, self.side // 44, self.side // 52):
            font = _font(self._scaled(size))
            if self.pen.textlength(text, font=font) <= self.side * 0.5:
                return text, font
        font = _font(self._scaled(self.side // 52))
        while len(text) > 2 and self.pen.textlength(text + "…", font=font) > self.side * 0.5:
            text = text[: max(2, int(len(text) * 0.9))]
        return text + "…", font

    def _scaled(self, size: int) -> int:
        return max(round(size * self.scale), 8)

    def _free_row(self, x: int, y: int, width: int, height: int) -> int:
        """The first row at or below y, else above it, where the label covers no other one; y when there is none."""

        def free(row: int) -> bool:
            return all(x + width <= a or c <= x or row + height <= b or d <= row for a, b, c, d in self.placed)

        rows = [*range(y, self.side - height, 2), *range(y, -1, -2)]
        return next((row for row in rows if free(row)), y)
