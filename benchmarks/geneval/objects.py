"""Which of a detector's answers GenEval counts as objects, and how two of them stand to each other.

Everything is computed in float32, in which the detector answers, so that thresholds cut where the official script's
do (evaluation/evaluate_images.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.geneval.prompts import CLASSES
from benchmarks.pixels import PixelDetection
from benchmarks.semantics import Semantics
from gotr1_eval.core.coco import full_name

FloatBox = NDArray[np.float32]
"""(x1, y1, x2, y2) in pixels of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The official script's options, with its defaults.

    Attributes:
        threshold: a detection's score must be above it.
        counting_threshold: the same, for prompts that count.
        most: objects a class, at most.
        max_overlap: IoU from which a less certain object of the same class is dropped; 1 drops none.
        position: share of both objects' sizes by which they must be apart to stand in a relation.
    """

    threshold: float = 0.3
    counting_threshold: float = 0.9
    most: int = 16
    max_overlap: float = 1.0
    position: float = 0.1


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class CountedObject:
    """An object: box in pixels, score, and its mask (None without)."""

    box: FloatBox
    score: float
    mask: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)


def select_objects(
    seen: Sequence[PixelDetection], *, counting: bool, options: Options = DEFAULTS, semantics: Semantics = "reference"
) -> dict[str, list[CountedObject]]:
    """The objects of a picture by class, in the classes' order, the most certain first; classes without any left out.

    Detections of equal score come in numpy's order for `reference`, and in the detector's for `corrected`.
    """
    by_class: dict[str, list[PixelDetection]] = {}
    for found in seen:
        by_class.setdefault(full_name(found.label), []).append(found)
    threshold = options.counting_threshold if counting else options.threshold
    objects = {}
    for name in sorted(by_class, key=_class_index):
        kept = _without_overlaps(_most_certain(by_class[name], threshold, options.most, semantics), options.max_overlap)
        if kept:
            objects[name] = kept
    return objects


_INDEX = {name: index for index, name in enumerate(CLASSES)}


def _class_index(name: str) -> int:
    return _INDEX.get(name, len(_INDEX))


def _most_certain(
    seen: Sequence[PixelDetection], threshold: float, most: int, semantics: Semantics
) -> list[CountedObject]:
    scores = np.array([found.score for found in seen], dtype=np.float32)
    order = np.argsort(scores)[::-1] if semantics == "reference" else np.argsort(-scores, kind="stable")
    above = [int(index) for index in order if scores[index] > np.float32(threshold)][:most]
    return [CountedObject(np.array(seen[i].box, dtype=np.float32), float(scores[i]), seen[i].mask) for i in above]


def _without_overlaps(objects: list[CountedObject], max_overlap: float) -> list[CountedObject]:
    if max_overlap == 1:
        return objects
    kept: list[CountedObject] = []
    for found in objects:
        if all(box_iou(found.box, other.box) < max_overlap for other in kept):
            kept.append(found)
    return kept


def box_iou(one: FloatBox, other: FloatBox) -> float:
    """Intersection over union with one pixel added to every side; 0 where neither has an area."""

    def area(box: Sequence[np.float32] | FloatBox) -> np.float32:
        zero, unit = np.float32(0), np.float32(1)
        return np.float32(max(box[2] - box[0] + unit, zero) * max(box[3] - box[1] + unit, zero))

    shared = area([max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])])
    union = area(one) + area(other) - shared
    return float(shared / union) if union else 0.0


def relations(one: FloatBox, other: FloatBox, apart: float = DEFAULTS.position) -> list[str]:
    """How the first box stands to the second, sorted: none, one, or two of above, below, left of, right of.

    The offset of the centres, each component first shortened by `apart` times the sum of both sizes, is compared with
    the length of the unshortened offset; more than half of it is a relation.
    """
    corners = np.stack([one, other]).reshape(2, 2, 2)
    offset = corners[0].mean(axis=0) - corners[1].mean(axis=0)
    sizes = np.abs(np.diff(corners, axis=1)).sum(axis=(0, 1))
    shortened = np.maximum(np.abs(offset) - apart * sizes, 0) * np.sign(offset)
    if np.all(np.abs(shortened) < 1e-3):
        return []
    right, down = shortened / np.linalg.norm(offset)
    words: Mapping[str, bool] = {
        "above": down < -0.5,
        "below": down > 0.5,
        "left of": right < -0.5,
        "right of": right > 0.5,
    }
    return [word for word, holds in words.items() if holds]
