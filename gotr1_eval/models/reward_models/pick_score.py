"""PickScore (arXiv 2305.01569): a CLIP ViT-H/14 trained on which of two pictures people picked for a prompt.

The rating is exp(logit scale) times the cosine of the two embeddings, about 18 to 24 for real pictures; the cosine
stands beside it. Source: yuvalkirstain/PickScore@f79607f, and flow_grpo/pickscore_scorer.py@ac4c86e (divided by 26).

Pictures and prompts are prepared as transformers' processor of CLIP-ViT-H-14-laion2B-s32B-b79K does: RGB first, with
alpha dropped and EXIF ignored; shorter side to 224, bicubic by Pillow; the middle cut out, its offset rounded down
(OpenAI's code: half to even); prompts as they are, cut at 77 tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import Sees, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.shared_pictures import once
from gotr1_eval.models.checkpoint import folder_digest, resolve_folder
from gotr1_eval.models.encoders._clip_folder import load_folder
from gotr1_eval.models.encoders._clip_model import ClipEncoder, ClipSettings, LoadedClip
from gotr1_eval.models.encoders._clip_text import encodable_text, has_tokenizer, load_tokenizer, tokenizer_digest
from gotr1_eval.models.encoders.hps import CLIP_REPOSITORY
from gotr1_eval.models.preprocessing import normalise, shorten, to_floats

VERSION = 1


class Settings(ClipSettings):
    """Which weights.

    Attributes:
        model: a folder in transformers' CLIP layout, or an id of the Hugging Face hub.
        revision: of the hub's model: a branch, tag or commit.
        tokenizer: CLIP's: a folder, OpenAI's ``bpe_simple_vocab_16e6.txt.gz``, or an id of the hub; None takes the one
            beside the weights, or else that of `CLIP_REPOSITORY`, which is the same.
    """

    model: str = "yuvalkirstain/PickScore_v1"
    revision: str = "main"
    tokenizer: str | None = None


class PickScore(ClipEncoder):
    """A `RewardModel` (see `gotr1_eval.core.protocols`), named after its folder."""

    sees: Sees = "stored"
    clean = staticmethod(encodable_text)

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(Path(settings.model).expanduser().absolute().name, settings)
        self._files = settings

    @cached_property
    def _weights(self) -> Path:
        return resolve_folder(self._files.model, self._files.revision)

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """CLIP's; raises UsageError when there is none."""
        if self._files.tokenizer is None and has_tokenizer(self._weights):
            return load_tokenizer(self._weights)
        return load_tokenizer(resolve_folder(self._files.tokenizer or CLIP_REPOSITORY, "main", weights=False))

    def load(self) -> LoadedClip:
        """Model and tokenizer; raises DataError for damaged or incomplete files, UsageError where there are none."""
        return LoadedClip(load_folder(self._weights, self._dtype), self.tokenizer)

    def prepare(self, picture: Image.Image, side: int) -> torch.Tensor:
        """See `fit_and_crop`."""
        return fit_and_crop(picture, side)

    def identity(self) -> dict[str, Json]:
        """The preparation's version, the weights and the tokenizer."""
        return {
            "reward_model": "pick_score", "version": VERSION, "folder": folder_digest(self._weights),
            "tokenizer": tokenizer_digest(self.tokenizer),
        }  # fmt: skip

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        """The scaled cosine of each picture and its prompt; its part ``cosine`` is in [-1, 1]."""
        cosines = (self.embed_images(images) * self.embed_texts(prompts)).sum(axis=1)
        scale = self.loaded.model.logit_scale.detach().exp().item()
        return [Score(value=scale * cosine, parts={"cosine": cosine}) for cosine in cosines.tolist()]


def fit_and_crop(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side] of a picture as its file stores it. Source: transformers' ``CLIPImageProcessor``."""
    rgb = picture if picture.mode == "RGB" else once(picture, "rgb", lambda: picture.convert("RGB"))
    resized = shorten(rgb, side)
    left, top = (resized.width - side) // 2, (resized.height - side) // 2
    return normalise(to_floats(resized.crop((left, top, left + side, top + side))))


def build(settings: Settings, workshop: Workshop) -> PickScore:
    """The model; needs nothing from the workshop."""
    return PickScore(settings)
