"""Finds the shapes world's objects in a picture, from pixels alone: colour, connected components, outline.

Made for crisp drawings, for the same after JPEG, and for what a small autoencoder makes of them.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from gotr1_eval.core.types import Box, Detection
from gotr1_eval.shapes.drawing import shape_mask
from gotr1_eval.shapes.scene import COLOURS, GRID, SHAPES, Kind, plain_name, read_kind

VERSION = 1
HALF_WAY = 148
"""A pixel whose least channel is below this is nearer to an object (40) than to the white background (255)."""
GREY_SATURATION = 0.25
SOLID_CONTRAST = 0.22
"""Brightness range (of 1) inside an object above which it has a pattern; drawn patterns have 0.35 and more."""


class ShapesDetector:
    """The detector of the shapes world."""

    name = "shapes"
    fingerprint = f"shapes-{VERSION}"
    open_vocabulary = False

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Detections per picture, best outline first; see `gotr1_eval.core.protocols.Detector`.

        A label may leave things open: "circle" finds circles of every colour. A label with a word that is not of
        this world finds nothing.
        """
        found = [list(find_objects(image)) for image in images]
        if labels is None:
            return [[Detection(plain_name(kind), box, score) for kind, box, score in objects] for objects in found]
        return [_matching(objects, wanted) for objects, wanted in zip(found, labels, strict=True)]


def _matching(objects: Sequence[tuple[Kind, Box, float]], wanted: Sequence[str]) -> list[Detection]:
    return [
        Detection(label, box, score)
        for label in dict.fromkeys(wanted)
        if (query := read_kind(label)) is not None
        for kind, box, score in objects
        if query.fits(kind)
    ]


def find_objects(image: Image.Image) -> list[tuple[Kind, Box, float]]:
    """Every object of a picture: its full kind, its box, and the outline's IoU with the ideal shape, best first."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    height, width = pixels.shape[:2]
    colours = pixel_colours(pixels)
    least_area = max(height * width / (GRID * GRID) * 0.4, 6)
    found = [
        _describe(pixels, mask, colour, window)
        for colour, mask, window in _components(colours, pixels.min(axis=2) < HALF_WAY, least_area)
    ]
    return sorted(found, key=lambda entry: -entry[2])


def _components(
    colours: NDArray[np.int8], foreground: NDArray[np.bool_], least_area: float
) -> Iterator[tuple[str, NDArray[np.bool_], tuple[slice, ...]]]:
    """Connected foreground pixels, split where one piece holds several objects of different colours."""
    labelled, _ = ndimage.label(foreground)
    for number, window in enumerate(ndimage.find_objects(labelled), start=1):
        piece = labelled[window] == number
        if piece.sum() < least_area:
            continue
        shares = np.bincount(colours[window][piece], minlength=len(COLOURS)) / piece.sum()
        main = [
            index for index in np.argsort(-shares) if shares[index] * piece.sum() >= least_area and shares[index] > 0.2
        ]
        if len(main) < 2:
            yield list(COLOURS)[int(np.argmax(shares))], piece, window
            continue
        for index in main:
            part, count = ndimage.label(piece & (colours[window] == index))
            for inner in range(1, count + 1):
                if (part == inner).sum() >= least_area:
                    yield list(COLOURS)[int(index)], part == inner, window


def pixel_colours(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """For each pixel the index of the nearest colour by hue; greys are black."""
    rgb = pixels.astype(np.float64) / 255
    high, low = rgb.max(axis=2), rgb.min(axis=2)
    spread = np.maximum(high - low, 1e-9)
    r, g, b = np.moveaxis(rgb, 2, 0)
    hue = np.select(
        [high == r, high == g], [((g - b) / spread) % 6, (b - r) / spread + 2], default=(r - g) / spread + 4
    ) / 6  # fmt: skip
    names = [name for name in COLOURS if name != "black"]
    distance = np.abs(hue[..., None] - np.array([_hue(name) for name in names]))
    nearest = np.argmin(np.minimum(distance, 1 - distance), axis=2)
    index = np.array([list(COLOURS).index(name) for name in names])[nearest]
    grey = (high - low) / np.maximum(high, 1e-9) < GREY_SATURATION
    return np.where(grey, list(COLOURS).index("black"), index).astype(np.int8)


def _hue(name: str) -> float:
    red, green, blue = (channel / 255 for channel in COLOURS[name])
    return colorsys.rgb_to_hsv(red, green, blue)[0]


def _describe(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], colour: str, window: tuple[slice, ...]
) -> tuple[Kind, Box, float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    outline = mask[top:bottom, left:right]
    shape, score = _best_shape(outline)
    y0, x0 = int(window[0].start + top), int(window[1].start + left)
    patch = pixels[y0 : y0 + bottom - top, x0 : x0 + right - left]
    texture = _texture(patch.max(axis=2) / 255.0, outline)
    height, width = pixels.shape[:2]
    box = Box(x0 / width, y0 / height, (x0 + right - left) / width, (y0 + bottom - top) / height)
    return Kind(shape, colour, texture), box, score


def _best_shape(outline: NDArray[np.bool_]) -> tuple[str, float]:
    """The shape whose ideal outline overlaps most, and its IoU."""
    overlaps = {}
    for shape in SHAPES:
        ideal = shape_mask(shape, *outline.shape)
        overlaps[shape] = float((ideal & outline).sum() / (ideal | outline).sum())
    best = max(overlaps, key=lambda shape: overlaps[shape])
    return best, overlaps[best]


def _texture(brightness: NDArray[np.float64], outline: NDArray[np.bool_]) -> str:
    """Solid, striped or dotted: stripes vary from row to row only, dots from column to column as well."""
    inside = ndimage.binary_erosion(outline)
    inside = inside if inside.sum() >= 8 else outline
    low, high = np.percentile(brightness[inside], (12, 88))
    if high - low < SOLID_CONTRAST:
        return "solid"
    dark = np.where(brightness < (low + high) / 2, 1.0, 0.0)
    by_row = _spread(dark, inside, axis=1)
    by_column = _spread(dark, inside, axis=0)
    return "striped" if by_row > 2 * by_column else "dotted"


def _spread(dark: NDArray[np.float64], inside: NDArray[np.bool_], axis: int) -> float:
    """Standard deviation of the rows' (axis=1) or columns' (axis=0) share of dark pixels."""
    counts = inside.sum(axis=axis)
    enough = counts >= 3
    if enough.sum() < 2:
        return 0.0
    return float(np.std((dark * inside).sum(axis=axis)[enough] / counts[enough]))
