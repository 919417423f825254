"""Detections made elsewhere, read from a file: UniDet's or mmdet's own output gives the official score without either.

One JSON object a picture and line:

    {"image": "color/samples/a red cat_000000.png", "detector": "unidet-rs200", "width": 512, "height": 512,
     "detections": [{"label": "cat", "box": [12.0, 40.5, 300.0, 501.0], "score": 0.93}, ...]}

`box` is (x1, y1, x2, y2) in pixels of `width` times `height`, the frame that the detector answered in; the order of the
detections is kept, since official scripts depend on it. A box that reaches over its frame is cut off there, one that
lies wholly outside is left out, and both are counted; boxes in fractions, (x, y, width, height), and numbers that are
none are refused. `image` is an absolute path, or the last parts of one: as many as tell the pictures apart.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import Field

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.perception import PictureDetections
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.files.jsonl import read_rows
from gotr1_eval.files.picture_rows import PictureRows
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 2
SLACK = 1.0
"""Pixels by which a box may leave its frame, as rounding makes it, without being counted; it is cut off there."""
FRACTIONS = 1.1
"""Pixels: boxes that end before them were given in fractions, some of which overshoot 1."""
Corners = tuple[float, float, float, float]


class Settings(StrictSettings):
    """The file, and the score under which its detections are left out, which the detector's name then tells.

    Official metrics cut at thresholds of their own and want everything that the detector answered.
    """

    path: Path
    least_score: float = Field(0.0, ge=0, le=1)


class PrecomputedDetector:
    """Answers for files with what was found in them; named after the detector that the file names.

    Satisfies `FileDetector`.
    """

    open_vocabulary = False

    def __init__(self, path: Path, least_score: float = 0.0) -> None:
        """Raises DataError for a line that is no row of detections, or for rows of different detectors."""
        self.path = path
        self.least_score = least_score
        self.fingerprint = _content_fingerprint(path, least_score)
        self.labels: Counter[str] = Counter()
        self._rows: PictureRows[PictureDetections] = PictureRows(path)
        self._boxes = 0
        self._lines: dict[str, list[int]] = {"clipped": [], "outside": [], "unordered": []}
        names: dict[str, None] = {}
        for line, row in read_rows(path, ours=False):
            names[self._read(row, line)] = None
        if len(names) != 1:
            what = f"detections of {', '.join(map(repr, names))}" if names else "no row"
            raise DataError(f"expected the detections of one detector, got {what}", path=path)
        (name,) = names
        self.name = f"{name},score>={least_score:g}" if least_score else name

    def look_up(self, file: Path) -> PictureDetections | None:
        """What was found in the picture; None where the file says nothing about it.

        Raises:
            DataError: the row could mean another picture as well.
        """
        return self._rows.look_up(file)

    def remarks(self, files: Sequence[Path]) -> list[str]:
        """What is odd about the file: boxes over their frames, unordered scores, rows of none of the pictures."""
        clipped, outside, unordered = self._lines.values()
        boxes = f"of {self._boxes} boxes"
        counted = [
            (clipped, f"{len(clipped)} {boxes} reach over their frame and were cut off there"),
            (outside, f"{len(outside)} {boxes} lie outside their frame and were left out; is it the boxes' frame?"),
            (unordered, f"the detections of {len(unordered)} of {len(self._rows)} pictures are not ordered by score"),
        ]
        told = [f"{self.path}: {what} (the first in line {lines[0]})" for lines, what in counted if lines]
        return [*told, *filter(None, [self._rows.unused(files)])]

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Raises UsageError unless there is no picture: what was found is known by file, not by pixels."""
        if images:
            raise UsageError(
                f"{self.path}: detections from a file answer for picture files, not for pictures in memory"
            )
        return []

    def _read(self, row: Mapping[str, Any], line: int) -> str:
        """Take in what a row says about its picture; returns the detector's name."""

        def fault(message: str) -> DataError:
            return DataError(message, path=self.path, line=line)

        name = row.get("detector")
        if not isinstance(name, str) or not name.strip():
            raise fault(f"expected 'detector', a text; got {one_line(repr(name), 60)}")
        size = _size(row)
        if size is None:
            raise fault(f"expected 'width' and 'height' in pixels, got {row.get('width')!r} and {row.get('height')!r}")
        found = row.get("detections")
        if not isinstance(found, list):
            raise fault(f"expected 'detections', a list; got {type(found).__name__}")
        try:
            entries = [
                (_label(entry["label"]), _corners(entry["box"], size), _score(entry["score"])) for entry in found
            ]
            _refuse_fractions([corners for _, corners, _ in entries], size)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else one_line(error)
            raise fault(f"not a detection {{label, box, score}}: {what}") from None
        if any(before < after for (*_, before), (*_, after) in pairwise(entries)):
            self._lines["unordered"].append(line)
        seen = [self._placed(entry, size, line) for entry in entries if entry[2] >= self.least_score]
        detections = tuple(one for one in seen if one is not None)
        self.labels.update(one.label for one in detections)
        self._rows.add(row.get("image"), line, PictureDetections(detections, size))
        return name.strip()

    def _placed(self, entry: tuple[str, Corners, float], size: tuple[int, int], line: int) -> Detection | None:
        """A detection inside its frame; None where no part of it is."""
        label, (x1, y1, x2, y2), score = entry
        width, height = size
        self._boxes += 1
        if min(x2, y2) < -SLACK or x1 > width + SLACK or y1 > height + SLACK:
            self._lines["outside"].append(line)
            return None
        if min(x1, y1) < -SLACK or x2 > width + SLACK or y2 > height + SLACK:
            self._lines["clipped"].append(line)
        return Detection(label, Box.clipped(x1 / width, y1 / height, x2 / width, y2 / height), score)


def _content_fingerprint(path: Path, least_score: float) -> str:
    """Of the file as it is read."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    return fingerprint({"detector": "precomputed", "version": VERSION, "file": digest, "least_score": least_score})


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """(width, height) in pixels; None for what is no whole number above 0. Tables may write 512 as 512.0."""
    sides = [row.get("width"), row.get("height")]
    if any(isinstance(side, bool) or not isinstance(side, int | float) or side < 1 or side % 1 for side in sides):
        return None
    width, height = (int(side) for side in sides if side is not None)
    return width, height


def _label(label: object) -> str:
    """Raises ValueError for anything else than a text."""
    if not isinstance(label, str):
        raise ValueError(f"label {one_line(repr(label), 60)} is no text")  # noqa: TRY004 - caught with the others
    return label


def _score(score: object) -> float:
    """Raises ValueError for anything else than a number in [0, 1]."""
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"score {score!r} is not in [0, 1]")
    return float(score)


def _corners(box: object, size: tuple[int, int]) -> Corners:
    """Raises ValueError for anything else than four finite numbers of which the second two are the greater ones."""
    numbers = box if isinstance(box, list) else []
    if len(numbers) != 4 or any(isinstance(value, bool) or not isinstance(value, int | float) for value in numbers):
        raise ValueError(f"box {one_line(repr(box), 80)} is not four numbers")
    x1, y1, x2, y2 = (float(value) for value in numbers)
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise ValueError(f"box {box} holds numbers that are not finite")
    if x1 > x2 or y1 > y2:
        inside = "x".join(map(str, size))
        raise ValueError(f"box {box} is not x1 <= x2, y1 <= y2 inside {inside}; is it x, y, width, height?")
    return x1, y1, x2, y2


def _refuse_fractions(boxes: Sequence[Corners], size: tuple[int, int]) -> None:
    """Raises ValueError for boxes between 0 and 1 in a frame of pixels.

    Detectors cut a box off at the picture's corner now and then, so that a single pixel there may be left of it; all
    boxes of a picture, or one that begins inside that pixel, were never given in pixels.
    """
    if min(size) <= 2 * FRACTIONS:
        return
    extended = [box for box in boxes if box[0] < box[2] and box[1] < box[3]]
    tiny = [box for box in extended if max(box[2:]) <= FRACTIONS]
    inside = next((box for box in tiny if max(box[:2]) > 0 and max(box[2:]) <= 1), None)
    if tiny and (len(tiny) == len(extended) or inside is not None):
        width, height = size
        box = list(inside or tiny[0])
        raise ValueError(
            f"box {box} is in fractions, expected pixels of {width}x{height}: multiply by width and height"
        )


def build(settings: Settings, workshop: Workshop) -> PrecomputedDetector:
    """The detector; needs nothing from the workshop."""
    return PrecomputedDetector(settings.path, settings.least_score)
