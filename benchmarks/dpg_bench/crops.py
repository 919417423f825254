"""DPG-Bench's 2x2 grids: four pictures of a prompt in one file, cut as the official script cuts them."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

CELLS = 4


@dataclass(frozen=True, slots=True)
class OfficialCrops:
    """See `benchmarks.checklist.encoding.Encoding`: the first squares of a fixed side, in reading order.

    What lies outside of the file is black and is asked about all the same; what lies beyond 2x2 squares is cut off.

    Attributes:
        side: of a square in pixels, the script's ``--resolution``; None for half the file's width.
        count: of squares, the script's ``--pic-num``.
    """

    side: int | None = None
    count: int = CELLS

    @property
    def name(self) -> str:
        """``2x2 squares``, with their number and side where they are set."""
        number = "2x2 squares" if self.count == CELLS else f"first {self.count} of 2x2 squares"
        return number if self.side is None else f"{number} of {self.side} pixels"

    @property
    def most(self) -> int:
        """One a square."""
        return self.count

    def pictures(self, picture: Image.Image) -> list[Image.Image]:
        """The squares."""
        side = self.side or max(picture.width // 2, 1)
        corners = [(0, 0), (side, 0), (0, side), (side, side)][: self.count]
        return [picture.crop((left, top, left + side, top + side)) for left, top in corners]
