"""T2I-CompBench++'s 3D-spatial score of one picture: detections in pixels, and how near each pixel is
(UniDet_eval/3D_spatial_eval.py).

The score is that of the 2D metric without its threshold: a quarter of each confidence, half of the relation. "In front
of" asks for the larger mean depth value (nearer) and for overlapping boxes: IoU / 0.5, at most 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.pixels import PixelBox, Seen
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.frame import iou
from benchmarks.t2i_compbench.labels import PEOPLE, find_all
from benchmarks.t2i_compbench.spatial_2d import SpatialScore, relation_2d

DEPTH_WORDS = {"in front of": 1, "behind": -1, "hidden": -1}
"""Relation word -> sign of the first object's depth value less the second's; "hidden by" is behind."""
FULL_OVERLAP = 0.5

Depths = NDArray[np.float32]
"""[height, width], 0 the farthest pixel to 1 the nearest, in the frame of the boxes."""


def depth_levels(depth: NDArray[np.float32]) -> Depths:
    """A map as the official script stores and reads it again: cut to 256 levels.

    Args:
        depth: in [0, 1], stretched before it took the picture's size, as the script does; see `Depth`.
    """
    levels: Depths = (depth * np.float32(255)).astype(np.uint8).astype(np.float32) / np.float32(255)
    return levels


def relation_3d(
    word: str | None, first: PixelBox, second: PixelBox, depths: Depths, semantics: Semantics = "reference"
) -> float:
    """How well the relation holds, in [0, 1] for boxes with area.

    Under `reference` the map is read with its axes swapped, as the script does: the region that is compared is the
    box mirrored at the diagonal, and one beyond the border has no mean, which scores 0. An IoU of exactly 0.5 scores 0.

    Raises:
        UndefinedScoreError: `reference`, and the union of the boxes has no area.
    """
    if word not in DEPTH_WORDS:
        return relation_2d(word, first, second, semantics)
    try:
        overlap = iou(first, second)
    except UndefinedScoreError:
        if semantics == "reference":
            raise
        return 0.0
    nearer = DEPTH_WORDS[word] * (_mean(depths, first, semantics) - _mean(depths, second, semantics))
    if not nearer > 0:
        return 0.0
    if semantics == "corrected":
        return min(overlap / FULL_OVERLAP, 1.0)
    if overlap > FULL_OVERLAP:
        return 1.0
    return overlap / FULL_OVERLAP if 0 < overlap < FULL_OVERLAP else 0.0


def _mean(depths: Depths, box: PixelBox, semantics: Semantics) -> float:
    """Mean depth value of a box; NaN where it covers no pixel."""
    if semantics == "corrected":
        columns, rows = _span(box[0], box[2], depths.shape[1]), _span(box[1], box[3], depths.shape[0])
        return float(depths[rows, columns].mean(dtype=np.float64))
    x1, y1, x2, y2 = (int(value) for value in box)
    region = depths[x1:x2, y1:y2]
    return float(region.mean(dtype=np.float32)) if region.size else math.nan


def _span(low: float, high: float, size: int) -> slice:
    """The pixels that a side touches, at least one."""
    start = min(max(math.floor(low), 0), size - 1)
    return slice(start, min(max(math.ceil(high), start + 1), size))


def score_3d(
    word: str | None, objects: tuple[str, str], seen: Sequence[Seen], depths: Depths, semantics: Semantics = "reference"
) -> SpatialScore:
    """The score of one picture, in [0, 1]; arguments as in `spatial_2d.score_2d`.

    Raises:
        UndefinedScoreError: see `relation_3d`.
    """
    first, second = _find_pair(objects, seen) if semantics == "reference" else _find_corrected(objects, seen)
    relation = 0.0
    if first is not None and second is not None:
        relation = relation_3d(word, first.box, second.box, depths, semantics)
    value = sum(0.25 * found.score for found in (first, second) if found is not None) + relation / 2
    return SpatialScore(value, first, second, relation)


def _find_pair(objects: tuple[str, str], seen: Sequence[Seen]) -> tuple[Seen | None, Seen | None]:
    """The script's choice: labels that hold the name anywhere, taken in the detector's order.

    With both objects in the picture its loop goes on until it has seen both, and overwrites what it has on the way:
    the object that shows first is the last of its matches before the other one shows. One alone is its first match.
    """
    names = [PEOPLE.get(name, name) for name in objects]
    matches = [[index for index, found in enumerate(seen) if name in found.label] for name in names]
    if not (matches[0] and matches[1]):
        first, second = (seen[found[0]] if found else None for found in matches)
        return first, second
    end = max(matches[0][0], matches[1][0])
    one, other = (max(index for index in found if index <= end) for found in matches)
    return seen[one], seen[other]


def _find_corrected(objects: tuple[str, str], seen: Sequence[Seen]) -> tuple[Seen | None, Seen | None]:
    """The best detection of each; of one name twice the two best."""
    first = next(iter(find_all(objects[0], seen)), None)
    second = next((found for found in find_all(objects[1], seen) if found is not first), None)
    return first, second
