"""Grounding DINO (arXiv 2303.05499): finds what it is asked for by name, in transformers' own classes.

Shapes: N pictures in a batch, Q queries (candidate boxes), T tokens of text, P phrases of a text.

A phrase's score is the highest probability (sigmoid of the logit) of its tokens. A candidate is a detection of its best
phrase when that score exceeds both thresholds. Upstream decodes the tokens above the text threshold instead, which may
name parts of a phrase or several at once; here a label is always one of those asked for. As upstream, overlapping
candidates are not merged.

Only pictures of equal size share a batch: the backbone sees the edge of padding, so that a picture's detections would
depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from pydantic import Field
from transformers import GroundingDinoForObjectDetection

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.models.checkpoint import find_folder, folder_digest, load_whole, read_model_type
from gotr1_eval.models.detectors._grounding_dino_inputs import (
    Caption,
    load_tokenizer,
    model_size,
    prepare,
    write_captions,
)
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
_ATTENTION = {"": "eager", "text_config": "sdpa", "backbone_config": "sdpa"}
"""The text part must not be `eager`: its mask is of booleans, which that implementation adds to the logits as 1 and 0,
and names then see one another and the padding. The model itself knows `eager` only."""

RELEASE = version("transformers")
_HALF_PRECISION = (5, 17)
"""The release of transformers from which the model's attention takes half precision."""


class Settings(StrictSettings):
    """Which model, and what counts as found.

    Attributes:
        model: a checkpoint folder, or a repository on the Hugging Face hub.
        revision: of the repository: a commit, tag or branch.
        box_threshold: a box counts when the score of its best phrase exceeds this.
        text_threshold: a phrase is only named when its score exceeds this; matters above `box_threshold` only.
        device: `auto` is the first GPU if there is one.
        dtype: of the weights.
        batch_size: pictures in one forward pass; halved for the call when memory runs out.
    """

    model: str = "IDEA-Research/grounding-dino-base"
    revision: str | None = None
    box_threshold: float = Field(0.35, ge=0, le=1)
    text_threshold: float = Field(0.25, ge=0, le=1)
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(4, ge=1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model in evaluation mode on its device, and its tokenizer."""

    model: Any
    tokenizer: Any


@dataclass(frozen=True, slots=True)
class _Look:
    """One pass over a picture: the picture's place among those asked about, and the text."""

    place: int
    picture: Image.Image
    caption: Caption


class GroundingDinoDetector(LocalModel[Loaded]):
    """A `Detector` (see `gotr1_eval.core.protocols`); the model is read when it is first needed."""

    name = "grounding-dino"
    open_vocabulary = True

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device, or no half precision in the installed transformers."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        if settings.dtype != "float32" and tuple(map(int, RELEASE.split(".")[:2])) < _HALF_PRECISION:
            raise UsageError(
                f"dtype {settings.dtype}: Grounding DINO runs in half precision from transformers 5.17 on, and this is "
                f"{RELEASE}; use dtype float32"
            )
        self._settings = settings

    @cached_property
    def _folder(self) -> Path:
        return find_folder(self._settings.model, self._settings.revision)

    @cached_property
    def fingerprint(self) -> str:
        """Of the files, thresholds and precision; reads the files. Raises UsageError where there are none."""
        settings = self._settings
        return identifiers.fingerprint(
            {
                "detector": self.name, "version": VERSION, "folder": folder_digest(self._folder),
                "box_threshold": settings.box_threshold, "text_threshold": settings.text_threshold,
                "dtype": settings.dtype,
            }
        )  # fmt: skip

    def _load(self) -> Loaded:
        kind = read_model_type(self._folder)
        if kind != "grounding-dino":
            raise UsageError(f"{self._folder}: expected model_type 'grounding-dino', got {kind!r}")
        model = load_whole(
            GroundingDinoForObjectDetection, self._folder, device=self._device, dtype=self._dtype, attention=_ATTENTION
        )
        return Loaded(model, load_tokenizer(self._folder, model.config.text_config.vocab_size))

    @property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = self.loaded.model
        return network

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Detections per picture, best first; scores in [0, 1]. A picture without names is not looked at.

        More names than one text holds are looked for in several passes, whose candidates do not compete.

        Raises:
            UsageError: `labels` is None.
            LabelError: a name without a word, or longer than the model reads.
            BackendError: memory does not suffice for a single picture, or the model's numbers are not finite.
        """
        if labels is None:
            raise UsageError(f"{self.name} finds only what it is asked for; give the names to look for in each picture")
        looks = [
            _Look(place, picture, caption)
            for place, (picture, names) in enumerate(zip(images, labels, strict=True))
            for caption in self._captions(names)
        ]
        found: list[list[Detection]] = [[] for _ in images]
        answers = self._by_size(looks, lambda look: model_size(look.picture.size), self._run)
        for look, detections in zip(looks, answers, strict=True):
            found[look.place] += detections
        return [sorted(detections, key=lambda detection: -detection.score) for detections in found]

    def _captions(self, names: Sequence[str]) -> list[Caption]:
        return write_captions(self.loaded.tokenizer, names, self.loaded.model.config.max_text_len) if names else []

    def _run(self, looks: Sequence[_Look]) -> list[list[Detection]]:
        """The detections of each pass; all pictures of one `model_size`."""
        model = self.loaded.model
        pixels_N3HW = torch.stack([prepare(look.picture) for look in looks]).to(self._device, model.dtype)
        texts = [torch.tensor(look.caption.ids) for look in looks]
        ids_NT = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        mask_NT = torch.nn.utils.rnn.pad_sequence([torch.ones_like(ids) for ids in texts], batch_first=True)
        answer = model(
            pixel_values=pixels_N3HW, input_ids=ids_NT.to(self._device), attention_mask=mask_NT.to(self._device)
        )
        logits_NQT, boxes_NQ4 = answer.logits.float().cpu(), answer.pred_boxes.float().cpu()
        chances_NQT = logits_NQT.sigmoid()
        # Minus infinity stands behind the end of a text; plus infinity would be a certainty of 1.
        self._require_finite((logits_NQT < torch.inf).all() and boxes_NQ4.isfinite().all(), "a score")
        return [
            self._read(look.caption, chances_QT, boxes_Q4)
            for look, chances_QT, boxes_Q4 in zip(looks, chances_NQT, boxes_NQ4, strict=True)
        ]

    def _read(self, caption: Caption, chances_QT: torch.Tensor, boxes_Q4: torch.Tensor) -> list[Detection]:
        """The candidates above the thresholds; boxes come as centre, width and height in fractions of the picture."""
        scores_QP = torch.stack([chances_QT[:, one.start : one.end].amax(dim=1) for one in caption.phrases], dim=1)
        best_Q, phrase_Q = scores_QP.max(dim=1)
        counts_Q = best_Q > max(self._settings.box_threshold, self._settings.text_threshold)
        rows = zip(best_Q[counts_Q].tolist(), phrase_Q[counts_Q].tolist(), boxes_Q4[counts_Q].tolist(), strict=True)
        return [
            Detection(label, _corners(*box), score)
            for score, phrase, box in rows
            for label in caption.phrases[phrase].labels
        ]


def _corners(x: float, y: float, width: float, height: float) -> Box:
    return Box.clipped(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def build(settings: Settings, workshop: Workshop) -> GroundingDinoDetector:
    """The detector; needs nothing from the workshop."""
    return GroundingDinoDetector(settings)
