"""Features of a drawn picture beside a prompt of the shapes world: colours, pieces and patterns, but no outlines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from gotr1_eval.core.geometry import direction_score
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.shapes.detecting import HALF_WAY, SOLID_CONTRAST, pixel_colours
from gotr1_eval.shapes.drawing import shape_mask
from gotr1_eval.shapes.scene import COLOURS, GRID, SHAPES, Kind
from gotr1_eval.shapes.statements import Statement, read_prompt
from rewards.inputs import require_picture

VERSION = 1
_FILLED = {shape: float(shape_mask(shape, 64, 64).mean()) for shape in SHAPES}
"""Shape -> share of its box that it covers."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A connected patch of one colour.

    Attributes:
        filled: share of its box that it covers.
        contrast: range of brightness inside, of 1.
    """

    colour: str
    box: Box
    filled: float
    contrast: float


class ShapesFeatures:
    """See the module; NO_INPUT for a prompt that is no sentence of the shapes world, or without a picture."""

    name = "shapes features"
    looks_at: LooksAt = "picture"
    may_not_apply = False
    fingerprint = fingerprint({"features": "shapes", "version": VERSION})

    def rows(self, samples: Sequence[Sample]) -> list[Floats | Score | Unscored]:
        """[15] each."""
        return [_row(sample) for sample in samples]

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Nothing."""
        return []


def _row(sample: Sample) -> Floats | Score | Unscored:
    statement = read_prompt(sample.prompt)
    if statement is None:
        return Unscored(why=Why.NO_INPUT, detail="the prompt is not a sentence of the shapes world")
    picture = require_picture(sample)
    if isinstance(picture, Unscored):
        return picture
    return np.array(_numbers(statement, find_pieces(picture)))


def find_pieces(picture: Image.Image) -> list[Piece]:
    """The coloured patches of a picture that are large enough to be an object, the largest first."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    foreground, colours = pixels.min(axis=2) < HALF_WAY, pixel_colours(pixels)
    least = max(foreground.size / (GRID * GRID) * 0.4, 6)
    found = []
    for index, colour in enumerate(COLOURS):
        labelled, _ = ndimage.label(foreground & (colours == index))
        for number, window in enumerate(ndimage.find_objects(labelled), start=1):
            mask = labelled[window] == number
            if (area := int(mask.sum())) >= least:
                found.append((area, _piece(colour, mask, window, pixels)))
    return [piece for _, piece in sorted(found, key=lambda entry: -entry[0])]


def _piece(colour: str, mask: NDArray[np.bool_], window: tuple[slice, ...], pixels: NDArray[np.uint8]) -> Piece:
    height, width = pixels.shape[:2]
    rows, columns = window
    box = Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
    inside = pixels[window].max(axis=2)[mask] / 255.0
    low, high = np.percentile(inside, (12, 88))
    return Piece(colour, box, float(mask.mean()), float(high - low))


def _numbers(statement: Statement, pieces: Sequence[Piece]) -> list[float]:
    kinds = statement.kinds
    wanted, there = Counter(kind.colour or "" for kind in kinds), Counter(piece.colour for piece in pieces)
    shared = (wanted & there).total() / len(kinds)
    surplus = max(len(pieces) - len(kinds), 0)
    missing = max(len(kinds) - len(pieces), 0) / len(kinds)
    taken = _take(kinds, pieces)
    outline = [abs(piece.filled - _FILLED[kind.shape]) for kind, piece in taken]
    pattern = [(piece.contrast > SOLID_CONTRAST) == (kind.texture not in (None, "solid")) for kind, piece in taken]
    complete = float(len(taken) == len(kinds))
    relation = _relation(statement, pieces)
    like = float(np.mean([miss < 0.12 for miss in outline])) if outline else 0.0
    right = float(np.mean(pattern)) if pattern else 0.0
    return [
        shared,
        complete,
        missing,
        min(surplus, 3) / 3,
        float(np.mean(outline)) if outline else 0.5,
        like,
        right,
        shared * like,
        shared * right,
        shared * like * right,
        complete * float(like == 1.0) * float(right == 1.0),
        0.0 if relation is None else relation - 0.5,
        0.0 if relation is None else complete * (relation - 0.5),
        float(relation is not None),
        len(kinds) / 6,
    ]


def _take(kinds: Sequence[Kind], pieces: Sequence[Piece]) -> list[tuple[Kind, Piece]]:
    """For each stated object, one after the other, the free piece of its colour that fits best."""
    free, taken = list(pieces), []
    for kind in kinds:
        fitting = [piece for piece in free if kind.colour in (None, piece.colour)]
        if fitting:
            best = min(fitting, key=lambda piece: abs(piece.filled - _FILLED[kind.shape]))
            free.remove(best)
            taken.append((kind, best))
    return taken


def _relation(statement: Statement, pieces: Sequence[Piece]) -> float | None:
    """How far the first piece of the first colour lies where it should from that of the second; None where no relation
    is stated, a half where a piece is missing or both are of one colour."""
    if statement.relation is None:
        return None
    colours = [group.kind.colour for group in statement.groups[:2]]
    first, second = (next((piece for piece in pieces if piece.colour == colour), None) for colour in colours)
    if first is None or second is None or first is second:
        return 0.5
    return direction_score(statement.relation, first.box, second.box)
