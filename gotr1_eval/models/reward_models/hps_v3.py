"""HPSv3 (arXiv 2508.03789): a Qwen2-VL-7B trained on which of two pictures people preferred for a prompt.

The model reads the picture and a long instruction with the prompt; a head looks at one token behind it and gives mean
and deviation of a score without bounds. Published means lie between -0.2 (SD 2) and 10.5 (Kolors); optimised pictures
reach more than 15, noise about -0.1. Source: hpsv3 1.0.0 on PyPI (MIT), model/qwen2vl_trainer.py and inference.py.

- Positions are counted up on all three axes: the authors' package calls the language model so, and the model was
  trained so. Others hand over what Qwen2-VL has for pictures (M-RoPE), which is another function: `positions = "mrope"`
  gives it, under its own name.
- Pictures are RGB with alpha dropped and EXIF ignored, brought to about 200,704 pixels in multiples of 28.
- A prompt that holds the model's own picture or reward token cannot be asked about: there the package mixes up the
  scores of a whole batch.

Shapes: B samples, L tokens, A = 3 axes of a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from pydantic import Field
from transformers import Qwen2VLConfig

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Sees, Workshop
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.files.shared_pictures import once
from gotr1_eval.models.checkpoint import files_digest, resolve_folder
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.models.preprocessing import normalise, to_floats
from gotr1_eval.models.reward_models._hps_v3_files import (
    REWARD,
    HpsV3Network,
    Wording,
    load_network,
    load_tokenizer,
    read_config,
    read_wording,
)
from gotr1_eval.models.vlms.server_settings import smart_resized
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
BASE = "Qwen/Qwen2-VL-7B-Instruct"
"""On the hub; its configuration and tokenizer are HPSv3's."""
PATCH, MERGED, FRAMES = 14, 2, 2
"""Side of a patch in pixels; patches a side that become one token; frames that a still picture is repeated to."""
PIXELS = 256 * (PATCH * MERGED) ** 2
MOST_OBLONG = 200
_PICTURE, _PAD = "<|image_pad|>", "<|endoftext|>"
_FORBIDDEN = (REWARD, _PICTURE, "<|video_pad|>")


class Settings(StrictSettings):
    """Where the files are, and how the model is run.

    Attributes:
        weights: the authors' ``HPSv3.safetensors``; None looks for it in the folder of `gotr1-eval weights`.
        base: a folder with configuration and tokenizer of Qwen2-VL-7B-Instruct, or an id of the Hugging Face hub.
        package: ``hpsv3-1.0.0-py3-none-any.whl``, which holds the request; None as for `weights`.
        positions: `sequential` as the authors run it, or `mrope`, another metric.
        device: `auto` is the first GPU if there is one.
        dtype: of the weights; `auto` is float32 on the CPU and bfloat16, the authors' own, on a GPU.
        batch_size: samples in one forward pass; halved for the call when memory runs out.
    """

    weights: Path | None = None
    base: str = BASE
    package: Path | None = None
    positions: Literal["sequential", "mrope"] = "sequential"
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = Field(8, ge=1)


@dataclass(frozen=True, slots=True)
class LoadedHpsV3:
    """The network on its device, in evaluation mode."""

    model: HpsV3Network


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as patches, float32 [height x width, numbers of one], and its grid of them, (1, height, width)."""

    patches: torch.Tensor
    grid: tuple[int, int, int]

    @property
    def tokens(self) -> int:
        """That stand for the picture in a text."""
        return self.grid[1] * self.grid[2] // MERGED**2


@dataclass(frozen=True, slots=True)
class Row:
    """A sample as the model reads it."""

    ids: tuple[int, ...]
    picture: Prepared


class HpsV3(LocalModel[LoadedHpsV3]):
    """A `RewardModel` (see `gotr1_eval.core.protocols`); the network is read when it is first needed."""

    sees: Sees = "stored"

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._settings = settings
        self.pixels = PIXELS

    @property
    def name(self) -> str:
        """``HPSv3``, or the variant with Qwen2-VL's own positions."""
        return "HPSv3" if self._settings.positions == "sequential" else "HPSv3 with M-RoPE"

    @cached_property
    def _weights(self) -> Path:
        return require_file(official_file("hps-v3"), "hps_v3: the weights", self._settings.weights)

    @cached_property
    def _package(self) -> Path:
        return require_file(official_file("hps-v3-request"), "hps_v3: the request", self._settings.package)

    @cached_property
    def _base(self) -> Path:
        return resolve_folder(self._settings.base, "main", weights=False)

    @cached_property
    def wording(self) -> Wording:
        """The authors' request."""
        return read_wording(self._package)

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """Qwen2-VL's, with the reward token."""
        return load_tokenizer(self._base)

    @cached_property
    def config(self) -> Qwen2VLConfig:
        """Of the base model."""
        return read_config(self._base)

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, the request, the tokenizer, the positions and the precision; reads the files."""
        return identifiers.fingerprint(
            {
                "reward_model": "hps_v3", "version": VERSION, "weights": files_digest([self._weights]),
                "request": self.wording.user_text("{}"), "positions": self._settings.positions,
                "base": files_digest([self._base / "config.json", self._base / "tokenizer.json"]),
                "dtype": str(self._dtype),
            }
        )  # fmt: skip

    def _load(self) -> LoadedHpsV3:
        model = load_network(self._weights, self.config, self._dtype)
        rows, ids = model.qwen.get_input_embeddings().num_embeddings, len(self.tokenizer)
        if rows != ids:
            raise DataError(
                f"the model embeds {rows} tokens, with {REWARD} the tokenizer has {ids}: expected {BASE}'s",
                path=self._base / "tokenizer.json",
            )
        return LoadedHpsV3(model.to(self._device).eval())

    @property
    def _network(self) -> torch.nn.Module:
        return self.loaded.model

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        """The mean score of each picture and prompt, with the deviation as the part ``sigma``."""
        rows = [self._row(image, prompt) for image, prompt in zip(images, prompts, strict=True)]
        rated = iter(self._in_batches([row for row in rows if isinstance(row, Row)], self.rate_rows))
        return [row if isinstance(row, Unscored) else _score(*next(rated)) for row in rows]

    def _row(self, image: Image.Image, prompt: str) -> Row | Unscored:
        for mark in _FORBIDDEN:
            if mark in prompt:
                return Unscored(why=Why.UNDEFINED, detail=f"the prompt holds {mark}, a mark of the model's own")
        if max(image.size) > MOST_OBLONG * min(image.size):
            detail = f"{image.width}x{image.height} pixels are more oblong than {MOST_OBLONG} to 1"
            return Unscored(why=Why.UNDEFINED, detail=detail)
        picture = prepare(image, self.pixels)
        chat = self.wording.chat(prompt).encode("utf-8", "replace").decode("utf-8")
        before, after = self.tokenizer(chat.split(_PICTURE), add_special_tokens=False)["input_ids"]
        picture_id = self.tokenizer.convert_tokens_to_ids(_PICTURE)
        return Row((*before, *[picture_id] * picture.tokens, *after), picture)

    def rate_rows(self, rows: Sequence[Row]) -> list[tuple[float, float]]:
        """(mean, deviation) of each row, right-padded to the longest."""
        model, longest = self.loaded.model, max(len(row.ids) for row in rows)
        ids_BL = torch.full((len(rows), longest), self._id(_PAD))
        mask_BL = torch.zeros_like(ids_BL)
        positions_ABL = torch.arange(longest).expand(3, len(rows), -1).clone()
        for place, row in enumerate(rows):
            length = len(row.ids)
            ids_BL[place, :length] = torch.tensor(row.ids)
            mask_BL[place, :length] = 1
            if self._settings.positions == "mrope":
                positions_ABL[:, place, :length] = self._picture_positions(row)
        reward = self._id(REWARD)
        places_B = torch.tensor([max(at for at, each in enumerate(row.ids) if each == reward) for row in rows])
        patches = torch.cat([row.picture.patches for row in rows])
        grids_N3 = torch.tensor([row.picture.grid for row in rows])
        text = (each.to(self._device) for each in (ids_BL, mask_BL, positions_ABL, places_B))
        rated_B2 = model(*text, patches.to(self._device, self._dtype), grids_N3.to(self._device))
        self._require_finite(rated_B2.isfinite().all(), "a rating")
        return [(mean, deviation) for mean, deviation in rated_B2.tolist()]

    def _picture_positions(self, row: Row) -> torch.Tensor:
        """[A, L]: by time, height and width within the picture, as Qwen2-VL has them by itself."""
        ids_BL = torch.tensor([row.ids])
        kinds_BL = (ids_BL == self._id(_PICTURE)).int()
        positions_ABL, _ = self.loaded.model.qwen.get_rope_index(
            ids_BL, mm_token_type_ids=kinds_BL, image_grid_thw=torch.tensor([row.picture.grid])
        )
        positions_AL: torch.Tensor = positions_ABL[:, 0]
        return positions_AL

    def _id(self, token: str) -> int:
        number: int = self.tokenizer.convert_tokens_to_ids(token)
        return number


def prepare(image: Image.Image, pixels: int = PIXELS) -> Prepared:
    """The patches of a picture as its file stores it, resized to about so many pixels.

    Patches that become one token stand together; a patch is its colours, each twice for two equal frames, row by row.
    Source: hpsv3/dataset/utils.py, and transformers' ``Qwen2VLImageProcessor``.
    """
    rgb = image if image.mode == "RGB" else once(image, "rgb", lambda: image.convert("RGB"))
    size = smart_resized(rgb.size, factor=PATCH * MERGED, min_pixels=pixels, max_pixels=pixels)
    resized = once(rgb, ("resized", size), lambda: rgb.resize(size, Image.Resampling.BICUBIC))
    floats = normalise(to_floats(resized))
    height, width = size[1] // PATCH, size[0] // PATCH
    pieces = floats.reshape(3, height // MERGED, MERGED, PATCH, width // MERGED, MERGED, PATCH)
    together = pieces.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5)
    patches = together.expand(-1, -1, -1, -1, -1, FRAMES, -1, -1).reshape(height * width, -1)
    return Prepared(patches.contiguous(), (1, height, width))


def _score(mean: float, deviation: float) -> Score:
    return Score(value=mean, parts={"sigma": deviation})


def build(settings: Settings, workshop: Workshop) -> HpsV3:
    """The model; needs nothing from the workshop."""
    return HpsV3(settings)
