"""UniDet as a detector: batches of pictures of equal size, boxes in fractions or in the pixels of the official scripts.

Only pictures that are seen at equal sizes share a batch. The scripts' batches of 64 mix sizes, so that there a
picture's padding, and with it now and then a detection, depends on its neighbours.

Pictures are what T2I-CompBench's scripts hand over: 479 pixels on the shorter side, at most 480 on the longer, the
planes blue, green, red. For R50 that is right. RS200 was trained on red, green, blue with means in that order; the step
that would turn the planes round is in a part of detectron2 that the scripts leave out. So under `reference` RS200 sees
red as blue; under `corrected` it sees what it was trained on. Source: `UniDet_eval/experts/generate_dataset.py` and
`model_bank.py`, detectron2 `modeling/meta_arch/rcnn.py`.

The names of the 722 classes are read from the user's copy of T2I-CompBench (`UniDet_eval/dataset/detection_features.pt`
under "labels"; 677 of them differ). UniDet's own repository has another list, which orders some classes otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import pad

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import DataError, LabelError, UsageError, nearest_name, one_line
from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.core.perception import TensorCount
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import files_digest, load_torch
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES, Architecture
from gotr1_eval.models.detectors.unidet.backbone import MULTIPLE
from gotr1_eval.models.detectors.unidet.network import Predictions, UniDet, drop_ignored, load_unidet, read_tensors
from gotr1_eval.models.local_model import LocalModel

Semantics = Literal["reference", "corrected"]
VERSION = 1


def read_labels(path: Path, count: int) -> tuple[str, ...]:
    """The names by class.

    Args:
        path: ``detection_features.pt``, or a ``.json`` file with a list of names.
        count: how many names there must be.

    Raises:
        DataError: the file cannot be read or holds something else.
    """
    labels = _read_json(path) if path.suffix == ".json" else _read_torch(path)
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise DataError("expected a list of names, or one under 'labels'", path=path)
    if len(labels) != count:
        raise DataError(f"expected the names of {count} classes, got {len(labels)}", path=path)
    return tuple(labels)


def _read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"not a JSON file that can be read: {one_line(error)}", path=path) from None
    return content.get("labels") if isinstance(content, dict) else content


def _read_torch(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    content = load_torch(path)
    return content.get("labels") if isinstance(content, dict) else None


class Vocabulary:
    """Finds classes by name: a whole label, or one of the names that a label joins by commas ("table, desk").

    Case does not matter. A class of two names answers to both, and two classes may answer to one name.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._classes: dict[str, list[int]] = {}
        for number, label in enumerate(labels):
            for name in dict.fromkeys(_plain(name) for name in (label, *label.split(","))):
                self._classes.setdefault(name, []).append(number)

    def classes(self, name: str) -> list[int]:
        """The classes that answer to a name.

        Raises:
            LabelError: there is none.
        """
        found = self._classes.get(_plain(name))
        if found is None:
            hint = nearest_name(_plain(name), self._classes)
            raise LabelError(f"UniDet has no class named {one_line(repr(name), 80)}{hint}")
        return found


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def resize(picture: Image.Image, semantics: Semantics) -> Image.Image:
    """RGB at `unidet_frame`, bilinear with Pillow's antialiasing.

    Transparency and 16 bits are only met where a caller has not made the picture RGB: `reference` drops the first and
    clips the second, as Pillow's `convert` does; `corrected` lays over white and scales.
    """
    rgb = picture.convert("RGB") if semantics == "reference" else to_rgb(picture)
    return rgb.resize(unidet_frame(*rgb.size), Image.Resampling.BILINEAR)


def to_planes(picture: Image.Image, architecture: Architecture, semantics: Semantics) -> torch.Tensor:
    """uint8 [3, height, width] of an RGB picture: blue first, except where `corrected` meets means of red first."""
    planes = torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1)
    red_first = semantics == "corrected" and architecture.order == "RGB"
    return planes if red_first else planes.flip(0)


def to_batch(planes: Sequence[torch.Tensor], architecture: Architecture, device: torch.device) -> torch.Tensor:
    """float32 [N, 3, H, W] of planes of one size: in the model's units, then zeros up to multiples of 32.

    The zeros lie at the right and the bottom, and are the mean colour.
    """
    levels_N3HW = torch.stack(list(planes)).to(device).float()
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1) for values in (architecture.mean, architecture.deviation)
    )
    height, width = levels_N3HW.shape[-2:]
    return pad((levels_N3HW - mean) / deviation, (0, -width % MULTIPLE, 0, -height % MULTIPLE))


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
        return unidet_frame(*size)

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

    def find(self, images: Sequence[Image.Image]) -> list[Predictions]:
        """The same as the model says it: boxes in the pixels of `box_frame`, and numbers of classes; on the CPU.

        Raises:
            BackendError: see `detect`.
        """
        return self._by_size(images, lambda image: unidet_frame(*image.size), self._run)

    def _run(self, pictures: Sequence[Image.Image]) -> list[Predictions]:
        """What is in each picture; all are seen at one size."""
        planes = [
            to_planes(resize(picture, self._semantics), self._architecture, self._semantics) for picture in pictures
        ]
        with torch.autocast(self._device.type, dtype=torch.float16, enabled=self._half):
            answers = self.loaded(to_batch(planes, self._architecture, self._device), unidet_frame(*pictures[0].size))
        return [Predictions(one.boxes.cpu(), one.scores.cpu(), one.classes.cpu()) for one in answers]

    def _by_class(self, wanted: Sequence[str]) -> dict[int, list[str]]:
        names: dict[int, list[str]] = {}
        for name in dict.fromkeys(wanted):
            for number in self.vocabulary.classes(name):
                names.setdefault(number, []).append(name)
        return names

    def _read(self, found: Predictions, size: tuple[int, int], names: dict[int, list[str]] | None) -> list[Detection]:
        width, height = unidet_frame(*size)
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        return [
            Detection(label, Box(x1 / width, y1 / height, x2 / width, y2 / height), score)
            for (x1, y1, x2, y2), score, number in rows
            for label in ([self.vocabulary.labels[number]] if names is None else names.get(number, []))
        ]
