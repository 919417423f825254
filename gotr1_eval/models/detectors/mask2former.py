"""Mask2Former (arXiv 2112.01527), the detector of GenEval: finds COCO's 80 things with their masks.

Two sources of weights run in transformers' class: OpenMMLab's file, with which GenEval's numbers were made, and folders
in transformers' layout (Meta's training). Preparation of pictures and reading of the logits are mmdet 2.28's for both,
not those of transformers' processor, which resizes otherwise and drops rows.

Shapes: N pictures of one padded size in a batch, H and W that size, Q queries, C classes and "nothing".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.coco import NAMES, class_place
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.perception import TensorCount
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.models.detectors._mask2former_folder import DEFAULT, TransformersFolder
from gotr1_eval.models.detectors._mask2former_masks import Instance, read_instances
from gotr1_eval.models.detectors._mask2former_openmmlab import OpenMmlabFile
from gotr1_eval.models.detectors._mask2former_pictures import BOUNDS, Frame, Size, frame_of, prepare
from gotr1_eval.models.detectors._opencv import Levels, decode
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
Names = Mapping[int, Sequence[str]]
"""What a detection is called, by the place of its class."""
_EVERYTHING: Names = {place: (name,) for place, name in enumerate(NAMES)}


class Settings(StrictSettings):
    """Which weights, and what counts as found.

    Attributes:
        model: OpenMMLab's ``.pth`` (of mmdet 2.x or 3.x), a checkpoint folder in transformers' layout, or a repository
            on the Hugging Face hub.
        revision: of the repository: a commit, tag or branch.
        threshold: a detection counts when its score exceeds this. GenEval uses 0.3, and 0.9 for counting, which is
            applied to what is found here.
        device: `auto` is the first GPU if there is one.
        dtype: `bfloat16` multiplies matrices in that format and leaves the weights as they are; the name shows it.
        batch_size: pictures of one size in a forward pass; halved for the call when memory runs out.
    """

    model: str = DEFAULT
    revision: str | None = None
    threshold: float = Field(0.3, ge=0, le=1)
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_size: int = Field(4, ge=1)


@dataclass(frozen=True, slots=True)
class _Look:
    """A picture on its way through the model: its place among those asked about, and what to call its things."""

    place: int
    levels: Levels
    frame: Frame
    names: Names


class Mask2FormerDetector(LocalModel[Any]):
    """A `Detector` (see `gotr1_eval.core.protocols`); the weights are read when they are first needed."""

    open_vocabulary = False

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such file or device."""
        # Weights are float32 whatever the setting says; see `_precision`.
        super().__init__(device=settings.device, dtype="float32", batch_size=settings.batch_size)
        self._settings = settings
        path = Path(settings.model).expanduser()
        self._weights: OpenMmlabFile | TransformersFolder
        if path.is_file() or path.suffix == ".pth":
            self._weights = OpenMmlabFile(path)
        else:
            self._weights = TransformersFolder(settings.model, settings.revision)

    @cached_property
    def name(self) -> str:
        """``mask2former-openmmlab`` for the official files, ``mask2former-hf`` for Meta's; others show what differs.

        Reads OpenMMLab's file, whose sha256 tells which it is; raises DataError when that contradicts its name.
        """
        return self._weights.name + ("" if self._settings.dtype == "float32" else f",{self._settings.dtype}")

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, threshold and precision; reads the files. Raises UsageError where there are none."""
        settings = self._settings
        return identifiers.fingerprint(
            {
                "detector": "mask2former", "version": VERSION, "weights": self._weights.digest,
                "threshold": settings.threshold, "dtype": settings.dtype,
            }
        )  # fmt: skip

    def _load(self) -> Any:  # noqa: ANN401 - transformers is untyped
        return self._weights.load().to(self._device)

    @property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = self.loaded
        return network

    def count_tensors(self) -> TensorCount:
        """Of OpenMMLab's file; raises what loading does, UsageError for a folder."""
        if not isinstance(self._weights, OpenMmlabFile):
            raise UsageError(f"{self.name}: the tensors of a folder are not counted, only those of OpenMMLab's file")
        _ = self.loaded
        return self._weights.count_tensors()

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Detections per picture with masks, best first; a picture with an empty list of names is not looked at.

        A picture that is not RGB yet is read as OpenCV reads its file (upright, transparency dropped, high byte of
        16-bit greys), which is what GenEval does; masks have the upright picture's size. Boxes are tight around masks;
        in pixels their corners are whole numbers, ``round(box.x1 * width)`` and so on, right and bottom exclusive.

        Args:
            labels: COCO's names or GenEval's (``mouse`` or ``computer mouse``); None for everything under GenEval's.

        Raises:
            LabelError: a name that is none of the 80.
            BackendError: memory does not suffice for a single picture, or the model's numbers are not finite.
        """
        wanted = [_EVERYTHING] * len(images) if labels is None else [_by_place(names) for names in labels]
        looks: list[_Look] = []
        for place, (picture, names) in enumerate(zip(images, wanted, strict=True)):
            if names:
                levels = decode(picture)
                looks.append(_Look(place, levels, frame_of((levels.shape[1], levels.shape[0]), BOUNDS), names))
        found: list[list[Detection]] = [[] for _ in images]
        answers = self._by_size(looks, lambda look: look.frame.padded, self._run)
        for look, detections in zip(looks, answers, strict=True):
            found[look.place] = detections
        return found

    def _run(self, looks: Sequence[_Look]) -> list[list[Detection]]:
        """The detections of each picture; all of one padded size."""
        pixels_N3HW = torch.stack([prepare(look.levels, look.frame) for look in looks]).to(self._device)
        with self._precision():
            answer = self.loaded(pixel_values=pixels_N3HW)
        classes_NQC, masks_NQhw = answer.class_queries_logits.float(), answer.masks_queries_logits.float()
        if not (classes_NQC.isfinite().all() and masks_NQhw.isfinite().all()):
            raise BackendError(f"{self.name}: a logit is not finite; the weights are damaged, or try dtype float32")
        return [
            _named(
                read_instances(
                    classes_QC, masks_Qhw, look.frame, above=self._settings.threshold, places=look.names.keys()
                ),
                look,
            )
            for look, classes_QC, masks_Qhw in zip(looks, classes_NQC, masks_NQhw, strict=True)
        ]

    def _precision(self) -> AbstractContextManager[object]:
        """Mixed precision where asked for: positions and sampling points would be too coarse in bfloat16."""
        if self._settings.dtype == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)


def _by_place(names: Sequence[str]) -> Names:
    """The names as asked for, by the class that they mean; raises LabelError for one that means none."""
    sharing: dict[int, list[str]] = {}
    for name in dict.fromkeys(names):
        sharing.setdefault(class_place(name), []).append(name)
    return sharing


def _named(instances: Sequence[Instance], look: _Look) -> list[Detection]:
    """Best first; instances of equal score keep the order of their class probability."""
    best_first = sorted(instances, key=lambda instance: -instance.score)
    return [
        Detection(name, _fractions(instance.box, look.frame.picture), instance.score, instance.mask)
        for instance in best_first
        for name in look.names[instance.place]
    ]


def _fractions(box: tuple[int, int, int, int], size: Size) -> Box:
    return Box(box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1])


def build(settings: Settings, workshop: Workshop) -> Mask2FormerDetector:
    """The detector; needs nothing from the workshop."""
    return Mask2FormerDetector(settings)
