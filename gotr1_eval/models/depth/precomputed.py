"""Depth maps made elsewhere, read from files, for pictures known by their paths.

One JSON object a picture and line:

    {"image": "3d_spatial/samples/a cat behind a dog_000000.png", "model": "dpt-hybrid-midas", "map": "maps/000000.npy"}

`map` lies beside the JSON lines unless its path is absolute: a NumPy array [height, width] of finite numbers, or a grey
PNG or TIFF of 8 or 16 bits; larger is nearer, as DPT answers, unless `nearer` says otherwise. Like DPT's own map it is
stretched to [0, 1] by its least and greatest value before it takes the picture's size. `image` is named as in a file of
detections.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.jsonl import read_rows
from gotr1_eval.files.picture_rows import PictureRows
from gotr1_eval.files.pictures import MAX_PIXELS, PictureError, check_size
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
Map = NDArray[np.float32]


class Settings(StrictSettings):
    """The file of rows, and which values of its maps are near: of metric depth the smaller ones."""

    path: Path
    nearer: Literal["larger", "smaller"] = "larger"


class PrecomputedDepth:
    """Satisfies `FileDepth`; named after the model that the file names."""

    def __init__(self, settings: Settings) -> None:
        """Raises DataError for a line that is no row, for rows of different models, and for a map that is not there."""
        self.path = settings.path
        self._nearer = settings.nearer
        self._rows: PictureRows[Path] = PictureRows(settings.path)
        names: dict[str, None] = {}
        for line, row in read_rows(settings.path, ours=False):
            for key in ("model", "map"):
                if not isinstance(row.get(key), str) or not row[key].strip():
                    message = f"expected {key!r}, a text; got {one_line(repr(row.get(key)), 60)}"
                    raise DataError(message, path=settings.path, line=line)
            place = settings.path.parent / Path(row["map"]).expanduser()
            if not place.is_file():
                raise DataError(f"no map {str(place)!r}", path=settings.path, line=line)
            names[row["model"].strip()] = None
            self._rows.add(row.get("image"), line, place)
        if len(names) != 1:
            what = f"maps of {', '.join(map(repr, names))}" if names else "no row"
            raise DataError(f"expected the maps of one model, got {what}", path=settings.path)
        (self.name,) = names

    @cached_property
    def fingerprint(self) -> str:
        """Of the rows and the maps; reads all of them."""
        content = hashlib.sha256(self.path.read_bytes())
        for place in self._rows.values():
            content.update(hashlib.sha256(place.read_bytes()).digest())
        return identifiers.fingerprint(
            {"depth": "precomputed", "version": VERSION, "nearer": self._nearer, "files": content.hexdigest()}
        )

    def remarks(self, files: Sequence[Path]) -> list[str]:
        """Rows of none of these pictures."""
        return [*filter(None, [self._rows.unused(files)])]

    def look_up(self, file: Path, size: tuple[int, int]) -> Map | None:
        """The map of a picture of (width, height) pixels, float32 [height, width] in [0, 1]; larger is nearer.

        Raises:
            PictureError: the file is no map, or lies on its side against the picture.
            DataError: the row could mean another picture as well.
        """
        place = self._rows.look_up(file)
        if place is None:
            return None
        nearness = _read(place)
        if nearness.shape == size != size[::-1]:
            raise PictureError(f"the map {place.name} of {size[1]}x{size[0]} lies on its side against the picture")
        unit = _stretched(nearness if self._nearer == "larger" else -nearness)
        found: Map = np.asarray(Image.fromarray(unit).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
        return np.clip(found, 0.0, 1.0)

    def depth(self, images: Sequence[Image.Image]) -> list[Map]:
        """Raises UsageError unless there is no picture: maps are known by file, not by pixels."""
        if images:
            raise UsageError(f"{self.path}: maps from files answer for picture files, not for pictures in memory")
        return []


def _read(place: Path) -> NDArray[np.float64]:
    """The numbers of a map, [height, width]; raises PictureError for anything else."""
    try:
        if place.suffix.lower() == ".npy":
            values = np.load(place, allow_pickle=False)
        else:
            with Image.open(place, formats=("PNG", "TIFF")) as picture:
                check_size(picture, MAX_PIXELS)
                values = np.asarray(picture)
        numbers = np.squeeze(np.asarray(values, dtype=np.float64))
    except PictureError:
        raise
    except (OSError, ValueError, TypeError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f"the map {place.name} cannot be read: {one_line(error, 120)}") from None
    if numbers.ndim != 2 or not numbers.size:
        raise PictureError(f"the map {place.name} is not [height, width], but {list(np.shape(values))}")
    if not np.isfinite(numbers).all():
        raise PictureError(f"the map {place.name} holds numbers that are not finite")
    return numbers


def _stretched(nearness: NDArray[np.float64]) -> Map:
    """To [0, 1] by the extremes; 0 everywhere where there is no difference."""
    low, high = nearness.min(), nearness.max()
    if high == low:
        return np.zeros(nearness.shape, dtype=np.float32)
    unit: Map = ((nearness - low) / (high - low)).astype(np.float32)
    return unit


def build(settings: Settings, workshop: Workshop) -> PrecomputedDepth:
    """The maps; needs nothing from the workshop."""
    return PrecomputedDepth(settings)
