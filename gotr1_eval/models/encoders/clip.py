"""CLIP as OpenAI released it (ViT-B/32, ViT-L/14, arXiv 2103.00020), for CLIP score and for comparing with HPS.

Pictures are prepared as OpenAI's code does: bicubic by Pillow to a shorter side of the model's size, cut out at the
centre, normalised.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from PIL import Image

from gotr1_eval.core.pictures import to_rgb
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.models.encoders._clip_folder import load_folder, resolve_folder
from gotr1_eval.models.encoders._clip_model import ClipEncoder, ClipSettings, LoadedClip, normalise, to_floats
from gotr1_eval.models.encoders._clip_text import load_tokenizer
from gotr1_eval.models.loading import folder_digest

VERSION = 1


class Settings(ClipSettings):
    """Which model.

    Attributes:
        model: a folder in transformers' CLIP layout with its tokenizer, or an id of the Hugging Face hub.
        revision: of the hub's model: a branch, tag or commit.
    """

    model: str = "openai/clip-vit-large-patch14"
    revision: str = "main"


class ClipModelEncoder(ClipEncoder):
    """Embeds pictures and texts with a CLIP model; named after its folder."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(Path(settings.model).expanduser().absolute().name, settings)
        self._files = settings

    @cached_property
    def _folder(self) -> Path:
        return resolve_folder(self._files.model, self._files.revision)

    def load(self) -> LoadedClip:
        """Model and tokenizer; raises DataError for damaged or incomplete files, UsageError where there are none."""
        return LoadedClip(load_folder(self._folder, self._files.torch_dtype), load_tokenizer(self._folder))

    def prepare(self, picture: Image.Image, side: int) -> torch.Tensor:
        """See `fit_and_crop`."""
        return fit_and_crop(picture, side)

    def identity(self) -> dict[str, Json]:
        """The preparation's version and the folder's files."""
        return {"encoder": "clip", "version": VERSION, "folder": folder_digest(self._folder)}


def fit_and_crop(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side]: shorter side to `side`, the middle cut out, normalised.

    The longer side is rounded down; where an odd number of pixels is too many, the offset is rounded half to even.
    Source: OpenAI's CLIP (torchvision's ``Resize`` and ``CenterCrop`` on Pillow pictures).
    """
    rgb = to_rgb(picture)
    shorter = min(rgb.size)
    width, height = (side * length // shorter for length in rgb.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    resized = rgb.resize((width, height), Image.Resampling.BICUBIC)
    return normalise(to_floats(resized.crop((left, top, left + side, top + side))))


def build(settings: Settings, workshop: Workshop) -> ClipModelEncoder:
    """The encoder; needs nothing from the workshop."""
    return ClipModelEncoder(settings)
