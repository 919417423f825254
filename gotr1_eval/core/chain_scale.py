"""The boxes of a chain as they are written, and where they lie once the chain's one scale is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gotr1_eval.core.chain_types import GRID, Defect, PlannedObject
from gotr1_eval.core.reading.frames import Stated
from gotr1_eval.core.types import Box

OVERSHOOT = 0.01
"""How far, in parts of the side, a coordinate may lie outside and is clipped before it speaks against a scale."""


@dataclass(frozen=True, slots=True)
class WrittenBox:
    """A box as it is written.

    Attributes:
        numbers: its four numbers; none where they cannot be read.
        faults: what is wrong with them.
        decimal: one of them has a decimal point.
        of_paper: it is in one of the paper's two notations.
        on_grid: it stands between the paper's own markers, which count thousandths, whatever the picture's size.
    """

    numbers: tuple[float, ...]
    faults: tuple[Defect, ...] = ()
    decimal: bool = False
    of_paper: bool = True
    on_grid: bool = False


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object of a plan before the scale of its chain is known."""

    name: str
    box: WrittenBox
    span: tuple[int, int]


def placed(objects: Sequence[WrittenObject], said: Stated) -> tuple[PlannedObject, ...]:
    """The objects with their boxes in fractions of the picture, once the chain's scale is known.

    Args:
        objects: as they are written.
        said: what the chain says of its numbers; what is not ours leaves its boxes without a place.
    """
    whole = [one.box for one in objects if not one.box.faults or one.box.numbers]
    fractions = any(box.decimal for box in whole) and all(_up_to(1, box) for box in whole)
    others = [box for box in whole if not box.of_paper]
    # Beyond a thousand the others count pixels of a picture whose size nobody said.
    pixels = not fractions and not all(_up_to(GRID, box) for box in others)
    found = []
    for one in objects:
        side = 1 if fractions else GRID
        unknown = (pixels and not one.box.of_paper) or _says_otherwise(said, side, on_grid=one.box.on_grid)
        box, faults = _place(one.box, side, unknown=unknown)
        found.append(PlannedObject(one.name, box, faults, one.span))
    return tuple(found)


def _says_otherwise(said: Stated, side: int, *, on_grid: bool) -> bool:
    """Whether a chain says that its numbers stand in another order than corners, or count up to something else.

    Fractions are those of a picture of any size.
    """
    if said.orders - {"xyxy"} or said.tops - {side, GRID - 1 if side == GRID else side}:
        return True
    return side == GRID and not on_grid and (said.pixels or bool(said.sizes - {(GRID, GRID)}))


def _up_to(side: int, box: WrittenBox) -> bool:
    return all(-OVERSHOOT * side <= number <= (1 + OVERSHOOT) * side for number in box.numbers)


def _place(written: WrittenBox, side: int, *, unknown: bool) -> tuple[Box | None, tuple[Defect, ...]]:
    """The box in fractions of the picture, with whatever is wrong with it.

    Args:
        side: what the coordinates count up to.
        unknown: they count something else.
    """
    if not written.numbers:
        return None, written.faults
    x1, y1, x2, y2 = written.numbers
    largest = max(map(abs, written.numbers))
    # Fractions among thousandths; and in notations of unknown origin what may as well be fractions, or percent.
    other_scale = side == GRID and written.decimal and largest < 2
    unclear = side == GRID and not written.of_paper and (0 < largest <= 1 or (written.decimal and largest <= 100))
    if unknown or other_scale or unclear:
        return None, (*written.faults, Defect.UNKNOWN_SCALE)
    faults = list(written.faults)
    if x1 > x2 or y1 > y2:
        faults.append(Defect.SWAPPED_CORNERS)
    if min(written.numbers) < 0 or max(written.numbers) > side:
        faults.append(Defect.OUT_OF_RANGE)
    box = Box.clipped(x1 / side, y1 / side, x2 / side, y2 / side)
    if box.area == 0:
        faults.append(Defect.ZERO_AREA)
    return box, tuple(faults)
