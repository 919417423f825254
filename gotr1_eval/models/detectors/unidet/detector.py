"""UniDet as a detector: batches of pictures of equal size, boxes in fractions or in the pixels of the official scripts.

Only pictures that are seen at equal sizes share a batch. The scripts' batches of 64 mix sizes, so that there a
picture's padding, and with it now and then a detection, depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.perception import TensorCount
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.models.checkpoint import files_digest
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES
from gotr1_eval.models.detectors.unidet.labels import Vocabulary, read_labels
from gotr1_eval.models.detectors.unidet.network import Found, UniDet, drop_ignored, load_unidet, read_tensors
from gotr1_eval.models.detectors.unidet.preprocessing import Semantics, frame_size, resize, to_batch, to_planes
from gotr1_eval.models.local_model import LocalModel

VERSION = 1


@dataclass(frozen=True, slots=True)
class Files:
    """Where the weights and the names of the classes are."""

    weights: Path
    labels: Path


class UniDetDetector(LocalModel[UniDet]):
    """A `Detector` (see `gotr1_eval.core.protocols`); the model is read when it is first needed.

    The name tells what could change a score: ``unidet-rs200`` is what the scripts compute, in float32;
    ``unidet-rs200-corrected`` sees the right colours; ``-fp16`` is the scripts' precision.
    """

    open_vocabulary = False

    def __init__(
        self, size: str, files: Files, *, semantics: Semantics, half: bool, device: str, batch_size: int
    ) -> None:
        """Raises UsageError when there is no such device, or it cannot do what `half` asks."""
        # Weights are float32; in half precision the multiplications alone are float16, as in the scripts.
        super().__init__(device=device, dtype="float32", batch_size=batch_size)
        self._size, self._architecture = size, ARCHITECTURES[size]
        self._files, self._semantics, self._half = files, semantics, half
        if half and self._device.type != "cuda":
            raise UsageError(f"unidet: precision float16 needs a GPU, got device {str(self._device)!r}; use float32")

    @property
    def name(self) -> str:
        """See the class."""
        mended = "-corrected" if self._semantics == "corrected" else ""
        return f"unidet-{self._size}{mended}{'-fp16' if self._half else ''}"

    @property
    def swaps_channels(self) -> bool:
        """Whether it sees red as blue: the scripts give blue first to RS200, whose weights expect red first."""
        return self._semantics == "reference" and self._architecture.order == "RGB"

    @cached_property
    def fingerprint(self) -> str:
        """Of the files, the semantics and the precision; reads the files."""
        return identifiers.fingerprint(
            {
                "detector": self.name, "version": VERSION, "labels": files_digest([self._files.labels]),
                "weights": files_digest([self._files.weights]),
            }
        )  # fmt: skip

    def _load(self) -> UniDet:
        return load_unidet(self._files.weights, self._architecture).to(self._device)

    @property
    def _network(self) -> torch.nn.Module:
        return self.loaded

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The names of the classes; raises DataError."""
        return Vocabulary(read_labels(self._files.labels, self._architecture.classes))

    def count_tensors(self) -> TensorCount:
        """Those of the file, and those that are weights; raises what loading does."""
        names = self.loaded.state_dict()
        tensors = read_tensors(self._files.weights)
        return TensorCount(len(tensors), len(drop_ignored(tensors, names)))

    def box_frame(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in pixels of the frame in which the official scripts measure boxes.

        For a picture of (width, height). A box of `detect` times this, rounded to float32, is the model's own box to
        the last bit.
        """
        return frame_size(size)

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Detections per picture, best first; scores in (0.1, 1], at most 300 of a picture.

        Args:
            images: RGB pictures.
            labels: for each picture the names to look for. Everything is looked for all the same, and what answers to
                another name is left out; None names each detection by its class.

        Raises:
            LabelError: no class answers to a name.
            BackendError: memory does not suffice for a single picture, or a feature is not finite.
        """
        names = None if labels is None else [self._by_class(wanted) for wanted in labels]
        found = self.find(images)
        return [
            self._read(one, image.size, None if names is None else names[place])
            for place, (image, one) in enumerate(zip(images, found, strict=True))
        ]

    def find(self, images: Sequence[Image.Image]) -> list[Found]:
        """The same as the model says it: boxes in the pixels of `box_frame`, and numbers of classes; on the CPU.

        Raises:
            BackendError: see `detect`.
        """
        return self._by_size(images, lambda image: frame_size(image.size), self._run)

    def _run(self, pictures: Sequence[Image.Image]) -> list[Found]:
        """What is in each picture; all are seen at one size."""
        planes = [
            to_planes(resize(picture, self._semantics), self._architecture, self._semantics) for picture in pictures
        ]
        with torch.autocast(self._device.type, dtype=torch.float16, enabled=self._half):
            answers = self.loaded(to_batch(planes, self._architecture, self._device), frame_size(pictures[0].size))
        return [Found(one.boxes.cpu(), one.scores.cpu(), one.classes.cpu()) for one in answers]

    def _by_class(self, wanted: Sequence[str]) -> dict[int, list[str]]:
        names: dict[int, list[str]] = {}
        for name in dict.fromkeys(wanted):
            for number in self.vocabulary.classes(name):
                names.setdefault(number, []).append(name)
        return names

    def _read(self, found: Found, size: tuple[int, int], names: dict[int, list[str]] | None) -> list[Detection]:
        width, height = frame_size(size)
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        return [
            Detection(label, Box(x1 / width, y1 / height, x2 / width, y2 / height), score)
            for (x1, y1, x2, y2), score, number in rows
            for label in ([self.vocabulary.labels[number]] if names is None else names.get(number, []))
        ]
