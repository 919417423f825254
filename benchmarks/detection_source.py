"""What a detector saw in samples' pictures, whether it looks at them now or a file says what it saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from gotr1_eval.core.errors import LabelError, one_line
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.perception import FileDetector, PictureDetections
from gotr1_eval.core.protocols import Detector
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import Transparency
from rewards.inputs import picture_files, require_detections, require_picture

Pictures = Sequence[Image.Image | Unscored]
NAMED = 8
"""Names that a remark lists."""


def open_all(samples: Sequence[Sample], transparency: Transparency = "white") -> list[Image.Image | Unscored]:
    """The samples' pictures as RGB, `NO_INPUT` with the reason where there is none that can be read."""
    return [require_picture(sample, transparency) for sample in samples]


class DetectionSource:
    """A detector, asked for everything it knows, or for the prompt's objects where it must be told what to look for."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.name = detector.name

    @property
    def fingerprint(self) -> str:
        """The detector's."""
        return self.detector.fingerprint

    @property
    def knows_files(self) -> bool:
        """Whether what was seen comes from a file, so that no picture need be decoded."""
        return isinstance(self.detector, FileDetector)

    @property
    def labels(self) -> Mapping[str, int]:
        """The labels in a file of detections, and how often each; of live detectors none are known."""
        return self.detector.labels if isinstance(self.detector, FileDetector) else {}

    def file_remarks(self, samples: Sequence[Sample]) -> list[str]:
        """What is odd about a file of detections, and of which pictures it speaks that no sample has."""
        if not isinstance(self.detector, FileDetector):
            return []
        return self.detector.remarks(picture_files(samples))

    def unlabelled(self, names: Mapping[str, int], fits: Callable[[str, str], bool]) -> list[str]:
        """A line about objects that nothing in a file of detections is labelled as; none of live detectors.

        Args:
            names: what prompts speak of, and how often.
            fits: whether an object may be found under a label.
        """
        absent = {name: count for name, count in names.items() if not any(fits(name, label) for label in self.labels)}
        if not absent or not self.knows_files:
            return []
        unasked = {label: n for label, n in self.labels.items() if not any(fits(name, label) for name in names)}
        other = f"; labels that no prompt asks for: {counted(unasked)}" if unasked else ""
        return [f"{self.name}: no detection bears a label of these objects: {counted(absent)}{other}"]

    def detections(
        self, samples: Sequence[Sample], names: Sequence[Sequence[str]], pictures: Pictures | None = None
    ) -> list[PictureDetections | Unscored]:
        """What is in each picture.

        Args:
            names: what each prompt speaks of.
            pictures: the samples' pictures, where they are open already.
        """
        if isinstance(self.detector, FileDetector):
            return [require_detections(self.detector, sample) for sample in samples]
        pictures = open_all(samples) if pictures is None else pictures
        pairs = list(zip(pictures, names, strict=True))
        looks = [(picture, wanted) for picture, wanted in pairs if not isinstance(picture, Unscored)]
        found = iter(self._detect([picture for picture, _ in looks], [wanted for _, wanted in looks]))
        return [picture if isinstance(picture, Unscored) else next(found) for picture in pictures]

    def _detect(
        self, pictures: Sequence[Image.Image], names: Sequence[Sequence[str]]
    ) -> Sequence[PictureDetections | Unscored]:
        if not self.detector.open_vocabulary:
            return self._detections_in(pictures, None)
        try:
            return self._detections_in(pictures, names)
        except LabelError:
            return [self._detect_one(picture, wanted) for picture, wanted in zip(pictures, names, strict=True)]

    def _detect_one(self, picture: Image.Image, names: Sequence[str]) -> PictureDetections | Unscored:
        try:
            return self._detections_in([picture], [names])[0]
        except LabelError as error:
            return Unscored(why=Why.NO_INPUT, detail=str(error))

    def _detections_in(
        self, pictures: Sequence[Image.Image], names: Sequence[Sequence[str]] | None
    ) -> list[PictureDetections]:
        found = self.detector.detect(pictures, names)
        return [PictureDetections(tuple(seen), picture.size) for seen, picture in zip(found, pictures, strict=True)]


def counted(names: Mapping[str, int]) -> str:
    """``'sofa' (3), 'tvmonitor' (1) and 2 more``, the most frequent first."""
    ranked = sorted(names.items(), key=lambda entry: -entry[1])
    told = ", ".join(f"{one_line(name, 40)!r} ({count})" for name, count in ranked[:NAMED])
    return f"{told} and {len(ranked) - NAMED} more" if len(ranked) > NAMED else told
