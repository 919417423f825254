"""A pen for drawings of everyday things: smooth edges, soft shadows, shading; the same pixels on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gotr1_eval.core.types import Box

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
FINER = 3
"""Lines are drawn at so many times the size and brought down, which smooths their edges."""


class Pen:
    """Draws on a place of a picture, in fractions of it: (0, 0) is its upper left corner, (1, 1) its lower right.

    Line widths are fractions of the place's width.
    """

    def __init__(self, sheet: Image.Image, place: Box) -> None:
        self.sheet, self.place = sheet, place
        self._draw = ImageDraw.Draw(sheet)

    def at(self, place: Box) -> Pen:
        """A pen for a part of this pen's place."""
        mine = self.place
        left, top = mine.x1 + place.x1 * mine.width, mine.y1 + place.y1 * mine.height
        return Pen(
            self.sheet, Box.clipped(left, top, left + place.width * mine.width, top + place.height * mine.height)
        )

    def polygon(self, points: Points, colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def ellipse(self, x1: float, y1: float, x2: float, y2: float, colour: Colour) -> None:
        """A filled ellipse within these corners."""
        self._draw.ellipse(self._pixels([(x1, y1), (x2, y2)]), fill=colour)

    def rounded(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, corner: float = 0.1) -> None:
        """A filled rectangle with round corners."""
        self._draw.rounded_rectangle(self._pixels([(x1, y1), (x2, y2)]), self._width(corner), fill=colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """A line through the points, round at its corners."""
        self._draw.line(self._pixels(points), fill=colour, width=self._width(width), joint="curve")

    def arc(self, corners: Sequence[float], start: float, end: float, colour: Colour, width: float) -> None:
        """Part of an ellipse's edge, in degrees clockwise from the right."""
        x1, y1, x2, y2 = corners
        self._draw.arc(self._pixels([(x1, y1), (x2, y2)]), start, end, fill=colour, width=self._width(width))

    def fade(self, y1: float, y2: float, above: Colour, below: Colour) -> None:
        """A band over the whole width whose colour changes from top to bottom."""
        left, top, right, bottom = (round(value) for pair in self._pixels([(0, y1), (1, y2)]) for value in pair)
        share = np.linspace(0, 1, max(bottom - top, 1))[:, None, None]
        rows = np.array(above) * (1 - share) + np.array(below) * share
        band = np.broadcast_to(rows, (len(rows), max(right - left, 1), 3)).astype(np.uint8)
        self.sheet.paste(Image.fromarray(band), (left, top))

    def shadow(self, x1: float, y1: float, x2: float, y2: float, strength: float = 0.5) -> None:
        """A soft dark ellipse, as a thing casts it on what it stands on."""
        mask = Image.new("L", self.sheet.size)
        ImageDraw.Draw(mask).ellipse(self._pixels([(x1, y1), (x2, y2)]), fill=round(255 * strength))
        blurred = mask.filter(ImageFilter.GaussianBlur(4 * FINER))
        self.sheet.paste((25, 25, 30), (0, 0), blurred)

    def shine(self, x1: float, y1: float, x2: float, y2: float, strength: float = 0.45) -> None:
        """A soft light spot, as a round thing reflects it."""
        mask = Image.new("L", self.sheet.size)
        ImageDraw.Draw(mask).ellipse(self._pixels([(x1, y1), (x2, y2)]), fill=round(255 * strength))
        self.sheet.paste((255, 255, 255), (0, 0), mask.filter(ImageFilter.GaussianBlur(5 * FINER)))

    def _pixels(self, points: Points) -> list[tuple[float, float]]:
        width, height = self.sheet.size
        mine = self.place
        return [((mine.x1 + x * mine.width) * width, (mine.y1 + y * mine.height) * height) for x, y in points]

    def _width(self, share: float) -> int:
        return max(round(share * self.place.width * self.sheet.width), 1)


def new_sheet(width: int, height: int) -> Image.Image:
    """An empty sheet for a picture of so many pixels."""
    return Image.new("RGB", (width * FINER, height * FINER), "white")


def finished(sheet: Image.Image, grain: int) -> Image.Image:
    """The picture at its own size, with the faint noise that no photograph lacks; `grain` seeds it."""
    small = sheet.resize((sheet.width // FINER, sheet.height // FINER), Image.Resampling.BOX)
    levels = np.asarray(small, dtype=np.int16)
    noise = np.random.default_rng(grain).integers(-5, 6, levels.shape[:2])[:, :, None]
    return Image.fromarray(np.clip(levels + noise, 0, 255).astype(np.uint8))
