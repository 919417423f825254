"""What an official protocol does to a picture before its judge sees it: part of the metric, for it changes pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from gotr1_eval.files.pictures import through_jpeg


class Encoding(Protocol):
    """Makes of a picture those that the model is shown."""

    @property
    def name(self) -> str:
        """What it is called in the name of a metric."""
        ...

    @property
    def most(self) -> int:
        """Pictures that one gives at most; each is asked about."""
        ...

    def pictures(self, picture: Image.Image) -> list[Image.Image]:
        """RGB pictures, mostly one; none where there is nothing in it to judge."""
        ...


@dataclass(frozen=True, slots=True)
class AsItIs:
    """The picture's own pixels."""

    name: str = "as it is"
    most: int = 1

    def pictures(self, picture: Image.Image) -> list[Image.Image]:
        """The picture."""
        return [picture]


@dataclass(frozen=True, slots=True)
class Jpeg:
    """The picture as it comes back from JPEG of this quality, by Pillow's encoder (75 is its default)."""

    quality: int = 75
    most: int = 1

    @property
    def name(self) -> str:
        """``JPEG 75``."""
        return f"JPEG {self.quality}"

    def pictures(self, picture: Image.Image) -> list[Image.Image]:
        """The one picture."""
        return [through_jpeg(picture, self.quality)]


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a picture that holds several, in reading order; what the division leaves over is cut off.

    Attributes:
        columns, rows: of the grid.
        quality: each cell goes through JPEG of this quality; None leaves its pixels alone.
        drop_black: cells that are black all over are not judged.
    """

    columns: int
    rows: int
    quality: int | None = None
    drop_black: bool = False

    @property
    def name(self) -> str:
        """``grid 2x2, black cells left out, JPEG 75``."""
        black = ", black cells left out" if self.drop_black else ""
        return f"grid {self.columns}x{self.rows}{black}" + (f", JPEG {self.quality}" if self.quality else "")

    @property
    def most(self) -> int:
        """One a cell."""
        return self.columns * self.rows

    def pictures(self, picture: Image.Image) -> list[Image.Image]:
        """The cells that are left."""
        cells = [
            cell for cell in cut_grid(picture, self.columns, self.rows) if not (self.drop_black and is_black(cell))
        ]
        return [through_jpeg(cell, self.quality) if self.quality else cell for cell in cells]


def cut_grid(picture: Image.Image, columns: int, rows: int) -> list[Image.Image]:
    """The cells of a grid, in reading order, each of width // columns by height // rows pixels."""
    width, height = picture.width // columns, picture.height // rows
    return [
        picture.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))
        for row in range(rows)
        for column in range(columns)
    ]


def is_black(picture: Image.Image) -> bool:
    """Whether every pixel of an RGB picture is (0, 0, 0); a picture of another mode is not, as in OneIG's script."""
    return picture.mode == "RGB" and picture.getbbox() is None
