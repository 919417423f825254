"""LAION's aesthetic predictor v2 (sac+logos+ava1-l14-linearMSE): how much people like the look of a picture.

An affine head on the unit features of OpenAI's CLIP ViT-L/14; the prompt plays no part. Scores are made for 1 to 10,
most pictures get 5 to 6.5. Source: christophschuhmann/improved-aesthetic-predictor, and
flow_grpo/aesthetic_scorer.py@ac4c86e. Any `Encoder` of 768 numbers gives the features: one that CLIP score uses, too,
looks at each picture once for both.

Other heads go by the same name or look: those of the same layout are told apart by their hash, which then stands in the
name; LAION's first predictor (one linear layer) and heads with activations are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import BackendError, DataError, UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import Encoder, Sees, Workshop
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.models.encoders._open_clip import read_tensors
from gotr1_eval.models.reward_models._affine_head import build_head, check_tensors, head_shapes
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
WIDTH = 768
"""Of the features of CLIP ViT-L/14."""


class Settings(StrictSettings):
    """Which encoder and which head.

    Attributes:
        encoder: of the pictures, with 768 features: ``"clip"``, or ``{use = "clip", model = ...}``.
        head: ``sac+logos+ava1-l14-linearMSE.pth``; None looks for it in the folder of `gotr1-eval weights`.
    """

    encoder: Component = Field(default_factory=lambda: {"use": "clip"})
    head: Path | None = None


class LaionAesthetic:
    """A `RewardModel` (see `gotr1_eval.core.protocols`), named after its head and its encoder."""

    sees: Sees = "upright"

    def __init__(self, settings: Settings, encoder: Encoder) -> None:
        self._given = settings.head
        self._encoder = encoder

    @property
    def name(self) -> str:
        """``aesthetic-v2``, or the hash of another head, and the encoder."""
        official = self._given is None or self._hash.startswith(official_file("laion-aesthetic").hash_start or "")
        return f"{'aesthetic-v2' if official else f'head {self._hash[:8]}'}, {self._encoder.name}"

    @cached_property
    def _path(self) -> Path:
        return require_file(official_file("laion-aesthetic"), "laion_aesthetic: the head", self._given)

    @cached_property
    def _hash(self) -> str:
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """Of the head and the encoder; reads the files.

        Raises:
            UsageError: the head is not where the settings say; of the official name, it is another one.
        """
        expected = official_file("laion-aesthetic").hash_start or ""
        if self._given is None and not self._hash.startswith(expected):
            raise UsageError(
                f"{self._path}: sha256 begins with {self._hash[:8]}, not {expected[:8]}: another head under this name; "
                "fetch the right one, or give this as `head`, and its hash is part of the metric's name"
            )
        encoder = self._encoder.fingerprint
        return identifiers.fingerprint(
            {"reward_model": "laion_aesthetic", "version": VERSION, "head": self._hash, "encoder": encoder}
        )

    @cached_property
    def _head(self) -> Any:  # noqa: ANN401 - a torch module, called
        tensors = read_tensors(self._path)
        if {"weight", "bias"} == tensors.keys():
            raise DataError("one linear layer: LAION's first predictor (sa_0_4), not the second", path=self._path)
        check_tensors(self._path, "LAION's aesthetic head", head_shapes(WIDTH), tensors)
        return build_head(tensors).eval()

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        """One rating a picture; prompts are not looked at."""
        features_NE = torch.from_numpy(self._encoder.embed_images(images))
        if features_NE.shape[1] != WIDTH:
            raise UsageError(
                f"laion_aesthetic: {self._encoder.name} has {features_NE.shape[1]} features, the head takes {WIDTH}: "
                "give CLIP ViT-L/14 as `encoder`"
            )
        with torch.inference_mode():
            values_N = self._head(features_NE)[:, 0]
        if not values_N.isfinite().all():
            raise BackendError(f"{self.name}: a rating is not finite; the head is damaged")
        return [Score(value=value) for value in values_N.tolist()]


def build(settings: Settings, workshop: Workshop) -> LaionAesthetic:
    """The head on its encoder, which the workshop may have handed out before."""
    return LaionAesthetic(settings, workshop.encoder(settings.encoder))
