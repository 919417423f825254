"""A depth model in front of drawn rooms: is what stands nearer nearer?

In a hall of columns a near and a far one stand side by side and are compared where both cover the same rows, in a
picture and its mirror image, the near one now dark and now bright: neither height, side nor brightness tells them
apart. Besides, a floor comes nearer towards the viewer, and a corridor's walls are nearer than its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.doctor.checks import Array, Check, batch_is_single, same_twice, sound
from benchmarks.doctor.rooms import rooms
from gotr1_eval.core.perception import Depth
from gotr1_eval.core.types import Box

LEAST_RIGHT = 0.9
TOLERANCE = 2e-3
"""Of a map in [0, 1]."""


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
