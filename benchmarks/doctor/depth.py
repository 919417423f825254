"""A depth model in front of drawn rooms, halls of columns and a corridor in true perspective: is what is near nearer?

In a hall of columns a near and a far one stand side by side and are compared where both cover the same rows, in a
picture and its mirror image, the near one now dark and now bright: neither height, side nor brightness tells them
apart. Besides, a floor comes nearer towards the viewer, and a corridor's walls are nearer than its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageOps

from benchmarks.doctor.checks import Array, Check, batch_is_single, same_twice, sound
from benchmarks.doctor.pen import Colour, Pen, finished, new_sheet
from gotr1_eval.core.perception import Depth
from gotr1_eval.core.types import Box

_SIZE = (480, 480)
_HORIZON, _NEAREST, _FARTHEST = 0.42, 1.0, 14
LEAST_RIGHT = 0.9
TOLERANCE = 2e-3
"""Of a map in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Room:
    """A picture, and places in it of which the first of each pair is the nearer."""

    picture: Image.Image
    pairs: tuple[tuple[Box, Box], ...]


@cache
def rooms() -> tuple[Room, ...]:
    """Two halls, their mirror images, and a corridor that is not square."""
    halls = [_hall((70, 52, 44), (214, 204, 190), 1), _hall((222, 212, 196), (66, 58, 54), 2)]
    return (*halls, *map(_mirrored, halls), _corridor())


def _point(x: float, y: float, z: float) -> tuple[float, float]:
    """Where a point so far to the right, so far below the eye and so far away is seen."""
    return 0.5 + 0.5 * x / z, _HORIZON + (1 - _HORIZON) * y / z


def _hall(near: Colour, far: Colour, grain: int) -> Room:
    """A near column on the left, a far one on the right, on a floor of tiles."""
    sheet = new_sheet(*_SIZE)
    pen = Pen(sheet, Box(0, 0, 1, 1))
    pen.fade(0, _HORIZON + 0.05, (214, 208, 198), (190, 182, 170))
    _tiles(pen)
    _column(pen, 1.8, 5.0, far)
    _column(pen, -0.75, 1.7, near)
    band = (0.36, 0.46)
    columns = (Box(0.22, band[0], 0.34, band[1]), Box(0.66, band[0], 0.7, band[1]))
    wall = (columns[0], Box(0.44, band[0] - 0.1, 0.6, band[0]))
    floor = (Box(0.4, 0.9, 0.95, 1.0), Box(0.4, 0.5, 0.6, 0.53))
    return Room(finished(sheet, grain), (columns, wall, floor))


def _tiles(pen: Pen) -> None:
    for z in range(_FARTHEST, 0, -1):
        for x in range(-_FARTHEST, _FARTHEST):
            corners = [(x, z), (x + 1, z), (x + 1, z + 1), (x, z + 1)]
            shade = 205 if (x + z) % 2 else 110
            colour = (shade, shade - 8, shade - 20)
            pen.polygon([_point(a, 1, max(b, _NEAREST)) for a, b in corners], colour)


def _column(pen: Pen, x: float, z: float, colour: Colour) -> None:
    """A round column from the floor to above the eye, lit from the left."""
    half, steps = 0.3, 24
    (left, bottom), (right, _) = _point(x - half, 1, z), _point(x + half, 1, z)
    _, top = _point(x, -2.2, z)
    pen.shadow(left - 0.02, bottom - 0.02, right + 0.06 / z, bottom + 0.03 / z, 0.6)
    for step in range(steps):
        light = 1.15 - 0.75 * abs(step / steps - 0.3)
        strip = [left + (right - left) * edge / steps for edge in (step, step + 1.3)]
        shade: Colour = tuple(min(round(channel * light), 255) for channel in colour)  # type: ignore[assignment]
        pen.polygon([(strip[0], max(top, 0)), (strip[1], max(top, 0)), (strip[1], bottom), (strip[0], bottom)], shade)


def _mirrored(room: Room) -> Room:
    pairs = tuple((_mirror(near), _mirror(far)) for near, far in room.pairs)
    return Room(ImageOps.mirror(room.picture), pairs)


def _mirror(box: Box) -> Box:
    return Box(1 - box.x2, box.y1, 1 - box.x1, box.y2)


def _corridor() -> Room:
    """A corridor with a door at its end; both walls and the floor lead there."""
    sheet = new_sheet(600, 440)
    pen = Pen(sheet, Box(0, 0, 1, 1))
    steps = [1.0, 1.4, 2.0, 2.9, 4.2, 6.0]
    for number, (front, back) in enumerate(zip(steps, [*steps[1:], 8.6], strict=True)):
        light = 1 - 0.09 * number
        for sign, shade in ((-1, 196), (1, 178)):
            wall = [
                (0.5 + sign * 0.5 / z, 0.5 + up * 0.5 / z) for z, up in ((front, -1), (back, -1), (back, 1), (front, 1))
            ]
            pen.polygon(wall, (round(shade * light), round((shade - 10) * light), round((shade - 30) * light)))
            pen.line([wall[1], wall[2]], (90, 84, 76), 0.004)
        for sign, base in ((-1, (226, 224, 220)), (1, (128, 92, 62))):
            flat = [
                (0.5 + side * 0.5 / z, 0.5 + sign * 0.5 / z)
                for z, side in ((front, -1), (back, -1), (back, 1), (front, 1))
            ]
            red, green, blue = (round(channel * light) for channel in base)
            pen.polygon(flat, (red, green, blue))
            pen.line([flat[1], flat[2]], (80, 66, 52), 0.004)
    end = Box(0.5 - 0.5 / 8.6, 0.5 - 0.5 / 8.6, 0.5 + 0.5 / 8.6, 0.5 + 0.5 / 8.6)
    pen.at(end).polygon([(0, 0), (1, 0), (1, 1), (0, 1)], (120, 116, 110))
    pen.at(end).polygon([(0.25, 0.2), (0.75, 0.2), (0.75, 1), (0.25, 1)], (76, 50, 34))
    walls = [Box(0.02, 0.3, 0.12, 0.7), Box(0.88, 0.3, 0.98, 0.7), Box(0.3, 0.9, 0.7, 0.99)]
    return Room(finished(sheet, 3), tuple((wall, end) for wall in walls))


def depth_checks(model: Depth) -> Iterator[Check]:
    """Nearer nearer, numbers, repetition and batches."""
    pictures = [room.picture for room in rooms()]
    maps = model.depth(pictures)
    shaped = [one.shape for one in maps] == [picture.size[::-1] for picture in pictures]
    if shaped:
        yield _nearer_is_nearer(maps)
    yield sound(_faults(maps, shaped=shaped), f"{len(pictures)} maps")
    yield same_twice(maps, model.depth(pictures))
    singles = [model.depth([picture])[0] for picture in pictures]
    yield batch_is_single(maps, singles, TOLERANCE, "depths")


def _nearer_is_nearer(maps: Sequence[Array]) -> Check:
    pairs = [(depth, pair) for depth, room in zip(maps, rooms(), strict=True) for pair in room.pairs]
    right = sum(_mean(depth, near) > _mean(depth, far) for depth, (near, far) in pairs)
    detail = f"the nearer is nearer in {right} of {len(pairs)} pairs"
    return Check("sees drawings", right >= LEAST_RIGHT * len(pairs), detail)


def _mean(depth: Array, box: Box) -> float:
    height, width = depth.shape
    rows = slice(round(box.y1 * height), round(box.y2 * height))
    return float(depth[rows, round(box.x1 * width) : round(box.x2 * width)].mean())


def _faults(maps: Sequence[Array], *, shaped: bool) -> list[str]:
    if not shaped:
        return [f"expected maps of the pictures' sizes, got {[list(one.shape) for one in maps]}"]
    faults = []
    for depth in maps:
        if depth.dtype != np.float32:
            faults.append(f"a map is {depth.dtype}, not float32")
        if not (np.isfinite(depth).all() and depth.min() >= 0 and depth.max() <= 1):
            faults.append("a depth outside [0, 1]")
    return faults
