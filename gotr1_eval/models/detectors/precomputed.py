"""Detections made elsewhere, read from a file: UniDet's or mmdet's own output gives the official score without either.

One JSON object a picture and line:

    {"image": "color/samples/a red cat_000000.png", "detector": "unidet-rs200", "width": 512, "height": 512,
     "detections": [{"label": "cat", "box": [12.0, 40.5, 300.0, 501.0], "score": 0.93}, ...]}

`box` is (x1, y1, x2, y2) in pixels of `width` times `height`, the frame that the detector answered in; the order of the
detections is kept, since official scripts depend on it. `image` is an absolute path, or the last parts of one: as many
as tell the pictures apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.jsonl import read_rows
from gotr1_eval.core.perception import Sighting
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
SLACK = 1.0
"""Pixels by which a box may leave its frame, as rounding makes it; it is cut off there."""


class Settings(StrictSettings):
    """The file."""

    path: Path


@dataclass(slots=True)
class _Row:
    """A line of the file, and the picture that it has been used for."""

    line: int
    sighting: Sighting
    used_for: Path | None = None


class PrecomputedDetector:
    """Answers for files with what was found in them; named after the detector that the file names.

    Satisfies `FileDetector`.
    """

    def __init__(self, path: Path) -> None:
        """Raises DataError for a line that is no row of detections, or for rows of different detectors."""
        self.path = path
        self.fingerprint = _content_fingerprint(path)
        self._rows: dict[tuple[str, ...], _Row] = {}
        names: dict[str, int] = {}
        for line, row in read_rows(path, ours=False):
            parts, name, sighting = _read(row, path, line)
            if parts in self._rows:
                first = self._rows[parts].line
                raise DataError(f"picture {row['image']!r} has a row already, in line {first}", path=path, line=line)
            self._rows[parts] = _Row(line, sighting)
            names.setdefault(name, line)
        if len(names) != 1:
            what = f"detections of {', '.join(map(repr, names))}" if names else "no row"
            raise DataError(f"expected the detections of one detector, got {what}", path=path)
        self.name = next(iter(names))

    def look_up(self, file: Path) -> Sighting | None:
        """What was found in the picture; None where the file says nothing about it.

        Raises:
            DataError: the row could mean another picture as well.
        """
        parts = file.absolute().parts
        for start in range(len(parts)):
            if (row := self._rows.get(parts[start:])) is not None:
                if row.used_for not in (None, file):
                    message = f"the row stands for {row.used_for} as well as {file}; name more of the path in 'image'"
                    raise DataError(message, path=self.path, line=row.line)
                row.used_for = file
                return row.sighting
        return None

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Raises UsageError unless there is no picture: what was found is known by file, not by pixels."""
        if images:
            raise UsageError(
                f"{self.path}: detections from a file answer for picture files, not for pictures in memory"
            )
        return []


def _content_fingerprint(path: Path) -> str:
    """Of the file as it is read."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    return fingerprint({"detector": "precomputed", "version": VERSION, "file": digest})


def _read(row: Mapping[str, Any], path: Path, line: int) -> tuple[tuple[str, ...], str, Sighting]:
    """(parts of the picture's path, detector, what was found)."""

    def fault(message: str) -> DataError:
        return DataError(message, path=path, line=line)

    image, name = row.get("image"), row.get("detector")
    for key, text in (("image", image), ("detector", name)):
        if not isinstance(text, str) or not text.strip():
            raise fault(f"expected {key!r}, a text; got {one_line(repr(text), 60)}")
    width, height = row.get("width"), row.get("height")
    if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in (width, height)):
        raise fault(f"expected 'width' and 'height' in pixels, got {width!r} and {height!r}")
    found = row.get("detections")
    if not isinstance(found, list):
        raise fault(f"expected 'detections', a list; got {type(found).__name__}")
    size = int(width or 0), int(height or 0)
    try:
        detections = tuple(_detection(entry, size) for entry in found)
    except (KeyError, TypeError, ValueError) as error:
        raise fault(f"not a detection {{label, box, score}}: {one_line(error)}") from None
    return PurePath(str(image)).parts, str(name).strip(), Sighting(detections, size)


def _detection(entry: Mapping[str, Any], size: tuple[int, int]) -> Detection:
    """Raises KeyError, TypeError or ValueError for anything else than a detection."""
    label, score = entry["label"], entry["score"]
    if not isinstance(label, str):
        raise TypeError(f"label {label!r}")
    if isinstance(score, bool) or not 0 <= score <= 1:
        raise ValueError(f"score {score!r} is not in [0, 1]")
    x1, y1, x2, y2 = (float(value) for value in entry["box"])
    width, height = size
    inside = -SLACK <= x1 <= x2 <= width + SLACK and -SLACK <= y1 <= y2 <= height + SLACK
    if not inside:
        raise ValueError(f"box {entry['box']} is not x1 <= x2, y1 <= y2 inside {width}x{height}")
    return Detection(label, Box.clipped(x1 / width, y1 / height, x2 / width, y2 / height), float(score))


def build(settings: Settings, workshop: Workshop) -> PrecomputedDetector:
    """The detector; needs nothing from the workshop."""
    return PrecomputedDetector(settings.path)
