"""T2I-CompBench++'s 3D-spatial metric: boxes of a detector, and which of them a depth map says is nearer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from benchmarks.official import metric_name, undefined, within
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.sight import Pictures, Sight, open_all
from benchmarks.t2i_compbench.frame import unidet_frame
from benchmarks.t2i_compbench.judges.spatial_2d import (
    Objects,
    names_to_find,
    object_remarks,
    pair_score,
    prompts_and_tokens,
    word_and_objects,
)
from benchmarks.t2i_compbench.labels import fits_in_part, seen_in
from benchmarks.t2i_compbench.spatial_3d import depth_levels, score_3d
from benchmarks.t2i_compbench.spatial_prompts import WORDS_3D, stated_3d
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.perception import Depth, FileDepth, Phrases, Sighting
from gotr1_eval.core.protocols import Detector, LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 3
CATEGORIES = ("3d_spatial",)


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
        self.sight = Sight(detector)
        self.depth = depth
        self.phrases = phrases
        self.semantics: Semantics = semantics
        self.name = metric_name("3d_spatial", [detector.name, depth.name, phrases.name], semantics)

    @property
    def fingerprint(self) -> str:
        """Of the models', the parser's and the settings."""
        parts = [self.sight.fingerprint, self.depth.fingerprint, self.phrases.fingerprint]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category 3d_spatial."""
        return within(CATEGORIES, samples, self._judge)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: objects that a file of detections never names."""
        whole = list(samples)
        fits = partial(fits_in_part, semantics=self.semantics)
        lines = object_remarks(self.sight, CATEGORIES, whole, self._names, fits)
        if isinstance(self.depth, FileDepth):
            files = [sample.image for sample in whole if isinstance(sample.image, Path)]
            lines += self.depth.remarks(files if len(files) == len(whole) else [])
        return lines

    def _names(self, samples: Sequence[Sample]) -> list[list[str]]:
        return [names_to_find(pair) for _, pair in self._stated(samples)]

    def _stated(self, samples: Sequence[Sample]) -> list[tuple[str | None, Objects | Unscored]]:
        rows = prompts_and_tokens(self.phrases, samples, self.semantics)
        return [word_and_objects(*row, WORDS_3D, stated_3d, self.semantics) for row in rows]

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        stated = self._stated(samples)
        pictures = open_all(samples)
        sightings = self.sight.see(samples, [names_to_find(pair) for _, pair in stated], pictures)
        depths = self._depths(samples, pictures)
        return [self._outcome(*row, seen, depth) for row, seen, depth in zip(stated, sightings, depths, strict=True)]

    def _depths(self, samples: Sequence[Sample], pictures: Pictures) -> list[NDArray[np.float32] | Unscored]:
        if isinstance(self.depth, FileDepth):
            return [_look_up(self.depth, *row) for row in zip(samples, pictures, strict=True)]
        maps = iter(self.depth.depth([picture for picture in pictures if not isinstance(picture, Unscored)]))
        return [picture if isinstance(picture, Unscored) else next(maps) for picture in pictures]

    def _outcome(
        self,
        word: str | None,
        objects: Objects | Unscored,
        sighting: Sighting | Unscored,
        depth: NDArray[np.float32] | Unscored,
    ) -> Outcome:
        if isinstance(depth, Unscored):
            return depth
        if isinstance(sighting, Unscored):
            return sighting
        if isinstance(objects, Unscored):
            return objects
        frame = unidet_frame(*sighting.size)
        seen = seen_in(sighting, frame)
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
