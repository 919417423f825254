"""What a detector saw in samples' pictures, whether it looks at them now or a file says what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gotr1_eval.core.errors import LabelError, UsageError
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.perception import FileDetector, Sighting
from gotr1_eval.core.pictures import PictureError, Transparency, open_picture, picture_name, picture_size
from gotr1_eval.core.protocols import Detector
from gotr1_eval.core.types import Sample

Pictures = Sequence[Image.Image | Unscored]


def open_all(samples: Sequence[Sample], transparency: Transparency = "white") -> list[Image.Image | Unscored]:
    """The samples' pictures as RGB, `NO_INPUT` with the reason where there is none that can be read."""
    opened: list[Image.Image | Unscored] = []
    for sample in samples:
        try:
            opened.append(_no_picture() if sample.image is None else open_picture(sample.image, transparency))
        except PictureError as error:
            opened.append(_unreadable(sample.image, error))
    return opened


def _no_picture() -> Unscored:
    return Unscored(why=Why.NO_INPUT, detail="the sample has no picture")


def _unreadable(image: Path | Image.Image | None, error: PictureError) -> Unscored:
    name = "the picture" if image is None else picture_name(image)
    return Unscored(why=Why.NO_INPUT, detail=f"{name}: {error}")


class Sight:
    """A detector, asked for everything it knows, or for the prompt's objects where it must be told what to look for."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.name = detector.name
        self._must_be_told = False

    @property
    def fingerprint(self) -> str:
        """The detector's."""
        return self.detector.fingerprint

    @property
    def knows_files(self) -> bool:
        """Whether what was seen comes from a file, so that no picture need be decoded."""
        return isinstance(self.detector, FileDetector)

    def see(
        self, samples: Sequence[Sample], names: Sequence[Sequence[str]], pictures: Pictures | None = None
    ) -> list[Sighting | Unscored]:
        """What is in each picture.

        Args:
            names: what each prompt speaks of.
            pictures: the samples' pictures, where they are open already.
        """
        if isinstance(self.detector, FileDetector):
            return [_look_up(self.detector, sample) for sample in samples]
        pictures = open_all(samples) if pictures is None else pictures
        pairs = list(zip(pictures, names, strict=True))
        looks = [(picture, wanted) for picture, wanted in pairs if not isinstance(picture, Unscored)]
        found = iter(self._detect([picture for picture, _ in looks], [wanted for _, wanted in looks]))
        return [picture if isinstance(picture, Unscored) else next(found) for picture in pictures]

    def _detect(self, pictures: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> Sequence[Sighting | Unscored]:
        if not self._must_be_told:
            try:
                return self._sightings(pictures, None)
            except UsageError:
                # An open vocabulary; whatever else is wrong is raised again by the second question.
                self._must_be_told = True
        try:
            return self._sightings(pictures, names)
        except LabelError:
            return [self._detect_one(picture, wanted) for picture, wanted in zip(pictures, names, strict=True)]

    def _detect_one(self, picture: Image.Image, names: Sequence[str]) -> Sighting | Unscored:
        try:
            return self._sightings([picture], [names])[0]
        except LabelError as error:
            return Unscored(why=Why.NO_INPUT, detail=str(error))

    def _sightings(self, pictures: Sequence[Image.Image], names: Sequence[Sequence[str]] | None) -> list[Sighting]:
        found = self.detector.detect(pictures, names)
        return [Sighting(tuple(seen), picture.size) for seen, picture in zip(found, pictures, strict=True)]


def _look_up(detector: FileDetector, sample: Sample) -> Sighting | Unscored:
    """What a file says about the sample's picture, which must be there and begin like a picture."""
    if sample.image is None:
        return _no_picture()
    if not isinstance(sample.image, Path):
        return Unscored(why=Why.NO_INPUT, detail="detections from a file need picture files, got one in memory")
    try:
        picture_size(sample.image)
    except PictureError as error:
        return _unreadable(sample.image, error)
    sighting = detector.look_up(sample.image)
    if sighting is None:
        return Unscored(why=Why.NO_INPUT, detail=f"{sample.image.name}: no row of detections for this picture")
    return sighting
