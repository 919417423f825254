"""Cases of GenEval that are worked by hand, and what judges them: a scripted detector and a scripted encoder.

Pictures are 400 pixels wide and high. Boxes are (x1, y1, x2, y2) in pixels. The encoder is scripted: a picture's colour
is the commonest one in it that is not the grey around a mask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from benchmarks.geneval.judges.geneval import GenEvalJudge
from benchmarks.geneval.prompts import COLOURS
from benchmarks.semantics import Semantics
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.types import Box, Detection, Sample

SIDE = 400
A, B, C = (0, 160, 80, 240), (240, 160, 320, 240), (120, 0, 160, 40)
NO_CAT = "expected cat>=1, found 0"
NO_DOG = "expected dog>=1, found 0"
Pixels = tuple[float, float, float, float]


class Finds:
    """A detector that finds what it is told to."""

    name = fingerprint = "finds"
    open_vocabulary = False

    def __init__(self, detections: Sequence[Detection]) -> None:
        self.detections = list(detections)

    def detect(self, images: Sequence[Image.Image], labels: object = None) -> list[list[Detection]]:
        return [self.detections for _ in images]


class Palette:
    """An encoder of pictures in flat colours, and of texts that name one."""

    name = fingerprint = "palette"
    known = {ImageColor.getrgb(name): place for place, name in enumerate(COLOURS)}  # noqa: RUF012

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.eye(len(COLOURS), dtype=np.float32)[[self._commonest(image) for image in images]]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[float(colour in text) for colour in COLOURS] for text in texts], dtype=np.float32)

    def _commonest(self, image: Image.Image) -> int:
        pixels = Counter(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))
        return self.known[next(pixel for pixel, _ in pixels.most_common() if pixel in self.known)]


def found(label: str, box: Pixels = A, score: float = 0.95, mask: Pixels | None = None) -> Detection:
    """A detection; its mask is a rectangle in pixels, or none."""
    area = None
    if mask is not None:
        area = np.zeros((SIDE, SIDE), dtype=bool)
        x1, y1, x2, y2 = (int(value) for value in mask)
        area[y1:y2, x1:x2] = True
    return Detection(label, Box(*(value / SIDE for value in box)), score, area)


def clause(name: str, count: int = 1, colour: str = "", position: tuple[str, int] | None = None) -> dict[str, Any]:
    asked: dict[str, Any] = {"class": name, "count": count}
    return asked | ({"color": colour} if colour else {}) | ({"position": list(position)} if position else {})


@dataclass(frozen=True)
class Case:
    """What is seen, and painted, in a picture; the fault in the official words, empty for a picture that is right.

    `corrected` is the fault under the other semantics where it differs.
    """

    seen: list[Detection]
    fault: str
    include: list[dict[str, Any]] | None = None
    exclude: list[dict[str, Any]] | None = None
    painted: dict[Pixels, str] | None = None
    corrected: str | None = None


def judged(tag: str, case: Case, include: list[dict[str, Any]], semantics: Semantics) -> Outcome:
    picture = Image.new("RGB", (SIDE, SIDE), "#777")
    for box, colour in (case.painted or {}).items():
        x1, y1, x2, y2 = box
        ImageDraw.Draw(picture).rectangle((x1, y1, x2 - 1, y2 - 1), fill=colour)
    row: dict[str, Any] = {"tag": tag, "prompt": "p", "include": case.include or include}
    row |= {"exclude": case.exclude} if case.exclude else {}
    sample = Sample(id="s", prompt="p", image=picture, meta={"geneval": row})
    return GenEvalJudge(Finds(case.seen), Palette(), semantics).judge([sample])[0]


def check(tag: str, case: Case, include: list[dict[str, Any]]) -> None:
    faults: dict[Semantics, str] = {
        "reference": case.fault,
        "corrected": case.fault if case.corrected is None else case.corrected,
    }
    for semantics, fault in faults.items():
        outcome = judged(tag, case, include, semantics)
        if fault == "ZeroDivisionError":
            assert isinstance(outcome, Unscored)
            assert fault in outcome.detail
            continue
        assert isinstance(outcome, Score)
        assert (outcome.value, outcome.note) == (float(not fault), fault)
