"""T2I-CompBench++'s 3D-spatial metric: boxes of a detector, and which of them a depth map says is nearer.

The score (UniDet_eval/3D_spatial_eval.py) is that of the 2D metric without its threshold: a quarter of each confidence,
half of the relation. "In front of" asks for the larger mean depth value (nearer) and for overlapping boxes: IoU / 0.5,
at most 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from benchmarks.detection_source import DetectionSource, Pictures, open_all
from benchmarks.pixels import PixelBox, PixelDetection
from benchmarks.semantics import Semantics, UndefinedScoreError, metric_name, undefined, within
from benchmarks.t2i_compbench.frame import iou
from benchmarks.t2i_compbench.judges.spatial_2d import (
    Objects,
    names_to_find,
    object_remarks,
    pair_score,
    prompts_and_tokens,
    word_and_objects,
)
from benchmarks.t2i_compbench.labels import PEOPLE, fits_in_part, seen_in
from benchmarks.t2i_compbench.spatial_2d import Pair, SpatialScore, best_pair, relation_2d
from benchmarks.t2i_compbench.spatial_prompts import WORDS_3D, stated_3d
from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.perception import Depth, FileDepth, Phrases, PictureDetections
from gotr1_eval.core.protocols import Detector, LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import picture_files

DEPTH_WORDS = {"in front of": 1, "behind": -1, "hidden": -1}
"""Relation word -> sign of the first object's depth value less the second's; "hidden by" is behind."""
FULL_OVERLAP = 0.5
Depths = NDArray[np.float32]
"""[height, width], 0 the farthest pixel to 1 the nearest, in the frame of the boxes."""
VERSION = 4
CATEGORIES = ("3d_spatial",)


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
    word: str | None,
    objects: tuple[str, str],
    seen: Sequence[PixelDetection],
    depths: Depths,
    semantics: Semantics = "reference",
) -> SpatialScore:
    """The score of one picture, in [0, 1]; arguments as in `spatial_2d.score_2d`.

    Raises:
        UndefinedScoreError: see `relation_3d`.
    """
    first, second = _find_pair(objects, seen) if semantics == "reference" else best_pair(objects, seen)
    relation = 0.0
    if first is not None and second is not None:
        relation = relation_3d(word, first.box, second.box, depths, semantics)
    value = sum(0.25 * found.score for found in (first, second) if found is not None) + relation / 2
    return SpatialScore(value, first, second, relation)


def _find_pair(objects: tuple[str, str], seen: Sequence[PixelDetection]) -> Pair:
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


class Settings(StrictSettings):
    """The detector, the depth model, the source of the nouns, and whose semantics."""

    detector: Component
    depth: Component
    phrases: Component = Field(default={"use": "builtin"})
    semantics: Semantics = "reference"


class Spatial3dJudge:
    """Parts are the two confidences (0 where an object was not found) and the relation's credit."""

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"category"})
    model_calls = 0

    def __init__(self, detector: Detector, depth: Depth, phrases: Phrases, semantics: Semantics) -> None:
        self.source = DetectionSource(detector)
        self.depth = depth
        self.phrases = phrases
        self.semantics: Semantics = semantics
        self.name = metric_name("3d_spatial", [detector.name, depth.name, phrases.name], semantics)

    @property
    def fingerprint(self) -> str:
        """Of the models', the parser's and the settings."""
        parts = [self.source.fingerprint, self.depth.fingerprint, self.phrases.fingerprint]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category 3d_spatial."""
        return within(CATEGORIES, samples, self._judge)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: objects that a file of detections never names."""
        whole = list(samples)
        fits = partial(fits_in_part, semantics=self.semantics)
        lines = object_remarks(self.source, CATEGORIES, whole, self._names, fits)
        if isinstance(self.depth, FileDepth):
            lines += self.depth.remarks(picture_files(whole))
        return lines

    def _names(self, samples: Sequence[Sample]) -> list[list[str]]:
        return [names_to_find(pair) for _, pair in self._stated(samples)]

    def _stated(self, samples: Sequence[Sample]) -> list[tuple[str | None, Objects | Unscored]]:
        rows = prompts_and_tokens(self.phrases, samples, self.semantics)
        return [word_and_objects(*row, WORDS_3D, stated_3d, self.semantics) for row in rows]

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        stated = self._stated(samples)
        pictures = open_all(samples)
        per_picture = self.source.detections(samples, [names_to_find(pair) for _, pair in stated], pictures)
        depths = self._depths(samples, pictures)
        return [self._outcome(*row, seen, depth) for row, seen, depth in zip(stated, per_picture, depths, strict=True)]

    def _depths(self, samples: Sequence[Sample], pictures: Pictures) -> list[NDArray[np.float32] | Unscored]:
        if isinstance(self.depth, FileDepth):
            return [_look_up(self.depth, *row) for row in zip(samples, pictures, strict=True)]
        maps = iter(self.depth.depth([picture for picture in pictures if not isinstance(picture, Unscored)]))
        return [picture if isinstance(picture, Unscored) else next(maps) for picture in pictures]

    def _outcome(
        self,
        word: str | None,
        objects: Objects | Unscored,
        in_picture: PictureDetections | Unscored,
        depth: NDArray[np.float32] | Unscored,
    ) -> Outcome:
        if isinstance(depth, Unscored):
            return depth
        if isinstance(in_picture, Unscored):
            return in_picture
        if isinstance(objects, Unscored):
            return objects
        frame = unidet_frame(*in_picture.size)
        seen = seen_in(in_picture, frame)
        try:
            scored = score_3d(word, objects, seen, in_frame(depth, frame), self.semantics)
        except UndefinedScoreError as error:
            return undefined(error)
        return pair_score(scored, frame)


def _look_up(depth: FileDepth, sample: Sample, picture: Image.Image | Unscored) -> NDArray[np.float32] | Unscored:
    """What a file says about the sample's picture."""
    if isinstance(picture, Unscored):
        return picture
    if not isinstance(sample.image, Path):
        return Unscored(why=Why.NO_INPUT, detail="depth maps from files need picture files, got one in memory")
    try:
        found = depth.look_up(sample.image, picture.size)
    except PictureError as error:
        return Unscored(why=Why.NO_INPUT, detail=f"{sample.image.name}: {error}")
    if found is None:
        return Unscored(why=Why.NO_INPUT, detail=f"{sample.image.name}: no row of a depth map for this picture")
    return found


def in_frame(depth: NDArray[np.float32], frame: tuple[int, int]) -> NDArray[np.float32]:
    """A map as the official script reads it: 256 levels, then resized as pictures are for the detector, in [0, 1]."""
    levels = np.round(depth_levels(depth) * 255).astype(np.uint8)
    resized = Image.fromarray(levels).resize(frame, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32) / np.float32(255)


def build(settings: Settings, workshop: Workshop) -> Spatial3dJudge:
    """The judge; its models load when first asked."""
    detector, depth = workshop.detector(settings.detector), workshop.depth(settings.depth)
    return Spatial3dJudge(detector, depth, workshop.phrases(settings.phrases), settings.semantics)
