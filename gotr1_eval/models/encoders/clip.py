"""CLIP as OpenAI released it (ViT-B/32, ViT-L/14, arXiv 2103.00020), for CLIP score and for comparing with HPS.

Pictures are prepared as OpenAI's code does: bicubic by Pillow to a shorter side of the model's size, cut out at the
centre, normalised. OpenAI's code runs in half precision on a GPU, this in float32 unless told otherwise.

Where OpenAI's code fails, this goes on: of a text of more than 77 tokens (its two markers included) the end is cut off
(there: an error, unless truncation is asked for).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import files_digest, folder_digest, resolve_folder
from gotr1_eval.models.encoders._clip_folder import load_folder
from gotr1_eval.models.encoders._clip_model import ClipEncoder, ClipSettings, LoadedClip
from gotr1_eval.models.encoders._clip_text import load_tokenizer, tokenizer_digest
from gotr1_eval.models.encoders._open_clip import load_open_clip
from gotr1_eval.models.preprocessing import crop_middle, normalise, shorten, to_floats

VERSION = 1


class Settings(ClipSettings):
    """Which model.

    Attributes:
        model: a folder in transformers' CLIP layout with its tokenizer; an id of the Hugging Face hub; or a file with
            OpenAI's or open_clip's names: ``ViT-L-14.pt`` of OpenAI, ``open_clip_model.safetensors``.
        revision: of the hub's model: a branch, tag or commit.
        tokenizer: CLIP's: a folder, OpenAI's ``bpe_simple_vocab_16e6.txt.gz``, or an id of the hub such as
            ``openai/clip-vit-base-patch32``; None looks beside the weights.
        activation: of a file's model, which its tensors do not tell; OpenAI trained with ``quick_gelu``, others with
            ``gelu``.
        head_width: of a file's model likewise: width of an attention head, 64 in all of OpenAI's. Both are ignored for
            a folder, whose configuration says it.
    """

    model: str = "openai/clip-vit-large-patch14"
    revision: str = "main"
    tokenizer: str | None = None
    activation: Literal["gelu", "quick_gelu"] = "quick_gelu"
    head_width: int = Field(64, ge=1)


class ClipModelEncoder(ClipEncoder):
    """Embeds pictures and texts with a CLIP model; named after its folder or file."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        path = Path(settings.model).expanduser().absolute()
        super().__init__(path.stem if path.is_file() else path.name, settings)
        self._files = settings

    @cached_property
    def _weights(self) -> Path:
        return resolve_folder(self._files.model, self._files.revision)

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """CLIP's; raises UsageError when there is none."""
        if self._files.tokenizer is not None:
            return load_tokenizer(resolve_folder(self._files.tokenizer, "main", weights=False))
        return load_tokenizer(self._weights if self._weights.is_dir() else self._weights.parent)

    def load(self) -> LoadedClip:
        """Model and tokenizer; raises DataError for damaged or incomplete files, UsageError where there are none."""
        files = self._files
        if self._weights.is_dir():
            return LoadedClip(load_folder(self._weights, self._dtype), self.tokenizer)
        model = load_open_clip(
            self._weights,
            self._dtype,
            heads=lambda sizes: (sizes.image.width // files.head_width, sizes.text.width // files.head_width),
            end_token=self.tokenizer.eos_token_id,
            activation=files.activation,
        )
        return LoadedClip(model, self.tokenizer)

    def prepare(self, picture: Image.Image, side: int) -> torch.Tensor:
        """See `fit_and_crop`."""
        return fit_and_crop(picture, side)

    def identity(self) -> dict[str, Json]:
        """The preparation's version, the weights and the tokenizer."""
        if self._weights.is_dir():
            facts: dict[str, Json] = {"folder": folder_digest(self._weights)}
        else:
            files = self._files
            facts = {
                "file": files_digest([self._weights]), "activation": files.activation, "head_width": files.head_width,
            }  # fmt: skip
        return {"encoder": "clip", "version": VERSION, "tokenizer": tokenizer_digest(self.tokenizer), **facts}


def fit_and_crop(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side]: shorter side to `side`, the middle cut out, normalised.

    Source: OpenAI's CLIP (torchvision's ``Resize`` and ``CenterCrop`` on Pillow pictures).

    Raises:
        ValueError: the picture has no pixels, as the crop of an empty box.
    """
    return normalise(to_floats(crop_middle(shorten(to_rgb(picture), side), side)))


def build(settings: Settings, workshop: Workshop) -> ClipModelEncoder:
    """The encoder; needs nothing from the workshop."""
    return ClipModelEncoder(settings)
