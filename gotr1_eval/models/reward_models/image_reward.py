"""ImageReward v1.0 (arXiv 2304.05977): a BLIP trained on how people ranked pictures of a prompt.

The picture's places are looked at by a text model that reads the prompt; its first place goes through an affine head.
The rating is (head - 0.167) / 1.033, usually between -2.3 and 2, with 0 for the average picture of its authors' data.
Source: THUDM/ImageReward@c1392c6, ImageReward/ImageReward.py and models/BLIP.

- The picture is resized (shorter side 224, bicubic by Pillow) and cropped *before* it becomes RGB: of a palette the
  nearest pixel is taken, and alpha counts while resizing and is dropped afterwards. EXIF is ignored.
- Prompts are cut at 35 tokens, [CLS] and [SEP] among them. A prompt that spells out ``[SEP]`` or another of the
  tokenizer's own marks contains that mark.

Shapes: N pictures, S side in pixels, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import Sees, Workshop
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.models.checkpoint import files_digest, resolve_folder
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.models.preprocessing import crop_middle, normalise, shorten, to_floats
from gotr1_eval.models.reward_models._image_reward_files import (
    PROMPT_TOKENS,
    ImageRewardNetwork,
    PromptTokenizer,
    load_network,
    load_tokenizer,
)
from gotr1_eval.models.vqa._bert_files import has_tokenizer, tokenizer_file
from gotr1_eval.models.vqa.blip import BERT_REPOSITORY
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
SIDE = 224
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072
"""Of the head's numbers over the authors' validation data."""


class Settings(StrictSettings):
    """Where the weights are, and how they are run.

    Attributes:
        weights: the authors' ``ImageReward.pt``; None looks for it in the folder of `gotr1-eval weights`.
        tokenizer: a folder with bert-base-uncased's ``tokenizer.json`` or ``vocab.txt``, or an id of the Hugging Face
            hub; None takes the one beside the weights, or else that of `BERT_REPOSITORY`.
        image_heads: attention heads of the picture's tower, which the tensors do not tell; 16 in ViT-L.
        text_heads: likewise of the text's tower; 12 in BERT.
        device: `auto` is the first GPU if there is one.
        dtype: of the weights.
        batch_size: pictures with their prompts in one forward pass; halved for the call when memory runs out.
    """

    weights: Path | None = None
    tokenizer: str | None = None
    image_heads: int = Field(16, ge=1)
    text_heads: int = Field(12, ge=1)
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(32, ge=1)


_Pair = tuple[Image.Image, str]


@dataclass(frozen=True, slots=True)
class LoadedImageReward:
    """The network on its device, in evaluation mode."""

    model: ImageRewardNetwork


class ImageReward(LocalModel[LoadedImageReward]):
    """A `RewardModel` (see `gotr1_eval.core.protocols`); the network is read when it is first needed."""

    name = "ImageReward-v1.0"
    sees: Sees = "stored"

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._settings = settings

    @cached_property
    def _weights(self) -> Path:
        return require_file(official_file("image-reward"), "image_reward: the weights", self._settings.weights)

    @cached_property
    def _tokenizer_file(self) -> Path:
        if self._settings.tokenizer is None and has_tokenizer(self._weights.parent):
            return tokenizer_file(self._weights.parent)
        return tokenizer_file(resolve_folder(self._settings.tokenizer or BERT_REPOSITORY, "main", weights=False))

    @cached_property
    def tokenizer(self) -> PromptTokenizer:
        """Reads prompts; raises UsageError when there is none, DataError for a damaged one."""
        return load_tokenizer(self._tokenizer_file)

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, the tokenizer and the precision; reads the files."""
        settings = self._settings
        return identifiers.fingerprint(
            {
                "reward_model": "image_reward", "version": VERSION, "weights": files_digest([self._weights]),
                "heads": [settings.image_heads, settings.text_heads], "dtype": settings.dtype,
                "tokenizer": files_digest([self._tokenizer_file]),
            }
        )  # fmt: skip

    def _load(self) -> LoadedImageReward:
        settings = self._settings
        heads = {"image_heads": settings.image_heads, "text_heads": settings.text_heads}
        model = load_network(self._weights, self._dtype, **heads)
        return LoadedImageReward(model.to(self._device).eval())

    @property
    def _network(self) -> torch.nn.Module:
        return self.loaded.model

    def cut_off(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each prompt beyond the 35 that are read."""
        return [max(len(self.tokenizer.ids(text)) - PROMPT_TOKENS, 0) for text in texts]

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        """The rating of each picture for its prompt."""
        pairs: list[_Pair] = list(zip(images, prompts, strict=True))
        return [Score(value=value) for value in self._in_batches(pairs, self._rate)]

    def _rate(self, pairs: Sequence[_Pair]) -> list[float]:
        model = self.loaded.model
        pixels_N3SS = torch.stack([prepare(picture) for picture, _ in pairs]).to(self._device, self._dtype)
        padded = [self.tokenizer.padded(prompt) for _, prompt in pairs]
        ids_NT, mask_NT = (torch.tensor(rows, device=self._device) for rows in zip(*padded, strict=True))
        raw_N = model(pixels_N3SS, ids_NT, mask_NT).float()
        self._require_finite(raw_N.isfinite().all(), "a rating")
        ratings: list[float] = ((raw_N - MEAN) / DEVIATION).tolist()
        return ratings


def prepare(picture: Image.Image) -> torch.Tensor:
    """float32 [3, 224, 224] of a picture as its file stores it: resized, cropped, and only then RGB."""
    return normalise(to_floats(crop_middle(shorten(picture, SIDE), SIDE).convert("RGB")))


def build(settings: Settings, workshop: Workshop) -> ImageReward:
    """The model; needs nothing from the workshop."""
    return ImageReward(settings)
