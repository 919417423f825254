"""HPS v2.1, the human preference score behind R_HPS: a CLIP ViT-H-14 trained on what people chose (arXiv 2306.09341).

The score of a picture and a prompt is the plain cosine of their embeddings; the logit scale is not used.
Pictures are prepared as HPSv2's own code does, which is not what open_clip does today: the longer side is brought to
224 pixels, on floating-point pixels and without clipping, and the rest is filled with zeros *before* normalising, so
that borders are black in the picture and not grey in the model.

Where HPSv2's code fails, this goes on: a picture with transparency is laid over white (there: four channels, an error),
and a picture whose longer side is 224 already is filled up like any other (there: left oblong, an error).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import Field
from torch.nn.functional import interpolate, pad

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import files_digest, folder_digest, resolve_folder
from gotr1_eval.models.encoders._clip_folder import load_folder
from gotr1_eval.models.encoders._clip_model import ClipEncoder, ClipSettings, LoadedClip
from gotr1_eval.models.encoders._clip_text import has_tokenizer, load_tokenizer, tokenizer_digest
from gotr1_eval.models.encoders._open_clip import load_open_clip
from gotr1_eval.models.preprocessing import normalise, to_floats

VERSION = 1
OLDER_FILE = "HPS_v2_compressed.pt"
"""The weights of v2.0, which have the same tensors: under their own name they are called what they are."""
CLIP_REPOSITORY = "openai/clip-vit-base-patch32"
"""On the hub; its tokenizer is that of every CLIP, HPS v2.1 among them."""


class Settings(ClipSettings):
    """Where the weights and the tokenizer are.

    Attributes:
        weights: ``HPS_v2.1_compressed.pt``, a ``.safetensors`` file with the same names, or a folder in transformers'
            CLIP layout; None looks for the first in the folder of `gotr1-eval weights`.
        tokenizer: CLIP's: a folder, OpenAI's ``bpe_simple_vocab_16e6.txt.gz``, or an id of the Hugging Face hub; None
            takes the one in the folder of the weights, or else that of `CLIP_REPOSITORY`.
        image_heads: attention heads of the image tower, which the shapes of the tensors do not tell; 16 in ViT-H-14.
        text_heads: likewise of the text tower. Both are ignored for a folder, whose configuration says it.
    """

    weights: str | None = None
    tokenizer: str | None = None
    image_heads: int = Field(16, ge=1)
    text_heads: int = Field(16, ge=1)


class HpsEncoder(ClipEncoder):
    """Embeds pictures and prompts with HPS v2.1."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there are no weights where the settings say, or no such device."""
        given = None if settings.weights is None else Path(settings.weights).expanduser()
        super().__init__("hps-v2.1" if given is None or given.name != OLDER_FILE else "hps-v2.0", settings)
        self._files = settings
        if given is not None and not given.exists():
            raise UsageError(
                f"no HPS weights at {given}; expected {official_file('hps').name}: gotr1-eval weights hps --download"
            )

    @cached_property
    def _weights(self) -> Path:
        if self._files.weights is None:
            return require_file(official_file("hps"), "hps: the weights", None)
        return Path(self._files.weights).expanduser()

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """CLIP's; raises UsageError when there is none."""
        beside = self._weights if self._weights.is_dir() else self._weights.parent
        if self._files.tokenizer is None and has_tokenizer(beside):
            return load_tokenizer(beside)
        return load_tokenizer(resolve_folder(self._files.tokenizer or CLIP_REPOSITORY, "main", weights=False))

    def load(self) -> LoadedClip:
        """Model and tokenizer; raises DataError for damaged or incomplete files, UsageError without a tokenizer."""
        dtype = self._dtype
        if self._weights.is_dir():
            return LoadedClip(load_folder(self._weights, dtype), self.tokenizer)
        model = load_open_clip(
            self._weights,
            dtype,
            heads=lambda sizes: (self._files.image_heads, self._files.text_heads),
            end_token=self.tokenizer.eos_token_id,
        )
        return LoadedClip(model, self.tokenizer)

    def prepare(self, picture: Image.Image, side: int) -> torch.Tensor:
        """See `fit_and_pad`."""
        return fit_and_pad(picture, side)

    def identity(self) -> dict[str, Json]:
        """The preparation's version, the weights and the tokenizer."""
        whole = self._weights.is_dir()
        digest = folder_digest(self._weights) if whole else files_digest([self._weights])
        heads: Json = None if whole else [self._files.image_heads, self._files.text_heads]
        return {
            "encoder": "hps", "version": VERSION, "weights": digest, "heads": heads,
            "tokenizer": tokenizer_digest(self.tokenizer),
        }  # fmt: skip


def fit_and_pad(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side]: longer side to `side`, zeros around, normalised.

    Bicubic with antialiasing; sizes are rounded half to even, and where the zeros are odd in number the right and the
    bottom get one more. Source: HPSv2's ``ResizeMaxSize`` with torchvision 0.17 or newer.
    """
    pixels = to_floats(to_rgb(picture))
    height, width = pixels.shape[1:]
    scale = side / max(height, width)
    if scale != 1.0:
        # A line of a thousand pixels would round to no pixels at all.
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
        pixels = interpolate(pixels[None], (height, width), mode="bicubic", antialias=True)[0]
    left, top = (side - width) // 2, (side - height) // 2
    return normalise(pad(pixels, (left, side - width - left, top, side - height - top)))


def build(settings: Settings, workshop: Workshop) -> HpsEncoder:
    """The encoder; needs nothing from the workshop."""
    return HpsEncoder(settings)
