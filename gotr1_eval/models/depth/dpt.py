"""DPT (arXiv 2103.13413): how near each pixel is, in transformers' own class; DPT-Hybrid is the official model.

Shapes: N pictures, S side in pixels as the model sees them, H and W of a picture.

As T2I-CompBench prepares and reads it: the picture squashed to 480x480 (bilinear by Pillow), values in [-1, 1], the
model's map brought to [0, 1] by its own least and greatest value *before* it is resized to the picture (bilinear,
corners aligned). A reader must not stretch it once more: resizing may have cut the extremes off.

The weights were trained at 384 pixels. The original code resizes their table of positions to whatever it is given, and
so does this; transformers' class has the code for it, but refuses the picture first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch.nn.functional import interpolate
from transformers import DPTForDepthEstimation

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import find_folder, folder_digest, load_whole, read_model_type
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
OFFICIAL_SIDE = 480
_UNREAD = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.|dpt\.pooler\.")
"""The first fusion has nothing to fuse with, and a map needs no pooler: published folders lack the one's weights, and
some have the other's."""
_ATTENTION = {"": "sdpa", "backbone_config": "eager"}
"""The backbone has no attention, and transformers refuses to be asked for a fast one there."""
Map = NDArray[np.float32]


class Settings(StrictSettings):
    """Which model, and how it is run.

    Attributes:
        model: a checkpoint folder, or a repository on the Hugging Face hub.
        revision: of the repository: a commit, tag or branch.
        image_size: pixels a side at which the model sees a picture; a multiple of two of its patches. Other than 480
            it is named in the metric.
        device: `auto` is the first GPU if there is one.
        dtype: of the weights.
        batch_size: pictures in one forward pass; halved for the call when memory runs out.
    """

    model: str = "Intel/dpt-hybrid-midas"
    revision: str | None = None
    image_size: int = Field(OFFICIAL_SIDE, ge=1)
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(8, ge=1)


class DptDepth(LocalModel[Any]):
    """A `Depth` (see `gotr1_eval.core.perception`); the model is read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._settings = settings

    @property
    def name(self) -> str:
        """The last part of the folder's or repository's name, and the size where it is not the official one."""
        model, side = Path(self._settings.model).expanduser().absolute().name, self._settings.image_size
        return model if side == OFFICIAL_SIDE else f"{model}-{side}px"

    @cached_property
    def _folder(self) -> Path:
        return find_folder(self._settings.model, self._settings.revision)

    @cached_property
    def fingerprint(self) -> str:
        """Of the files, the size and the precision; reads the files. Raises UsageError where there are none."""
        settings = self._settings
        return identifiers.fingerprint(
            {
                "depth": "dpt", "version": VERSION, "folder": folder_digest(self._folder),
                "image_size": settings.image_size, "dtype": settings.dtype,
            }
        )  # fmt: skip

    def _load(self) -> Any:  # noqa: ANN401 - transformers is untyped
        kind = read_model_type(self._folder)
        if kind != "dpt":
            raise UsageError(f"{self._folder}: expected model_type 'dpt', got {kind!r}")
        model = load_whole(
            DPTForDepthEstimation, self._folder, device=self._device, dtype=self._dtype, attention=_ATTENTION,
            unread=_UNREAD,
        )  # fmt: skip
        self._make_fit(model)
        return model

    @property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = self.loaded
        return network

    def _make_fit(self, model: Any) -> None:  # noqa: ANN401
        side, config = self._settings.image_size, model.config
        if not config.is_hybrid:
            raise UsageError(f"{self._folder}: expected a hybrid DPT, whose patches a convolutional network makes")
        if side % (2 * config.patch_size):
            raise UsageError(f"image_size: expected a multiple of {2 * config.patch_size}, got {side}")
        model.dpt.embeddings.image_size = (side, side)

    def depth(self, images: Sequence[Image.Image]) -> list[Map]:
        """A map a picture, float32 [H, W] in [0, 1] in the picture's own size; larger is nearer.

        A map without any difference is 0 everywhere (the original code divides 0 by 0 there).

        Raises:
            BackendError: memory does not suffice for a single picture, or the model's numbers are not finite.
        """
        return self._in_batches(images, self._maps)

    def _maps(self, pictures: Sequence[Image.Image]) -> list[Map]:
        model = self.loaded
        pixels_N3SS = torch.stack([prepare(picture, self._settings.image_size) for picture in pictures])
        nearness_NSS = model(pixel_values=pixels_N3SS.to(self._device, model.dtype)).predicted_depth.float()
        self._require_finite(nearness_NSS.isfinite().all(), "a depth")
        return [stretch(one, picture.size) for one, picture in zip(nearness_NSS, pictures, strict=True)]


def prepare(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side] in [-1, 1]: squashed to a square, bilinear by Pillow."""
    resized = to_rgb(picture).resize((side, side), Image.Resampling.BILINEAR)
    levels = torch.from_numpy(np.array(resized, dtype=np.uint8)).permute(2, 0, 1)
    return (levels.float() / 255 - 0.5) / 0.5


def stretch(nearness: torch.Tensor, size: tuple[int, int]) -> Map:
    """float32 [height, width] of a picture of `size` (width, height): to [0, 1] by the extremes, then resized."""
    low, high = nearness.min(), nearness.max()
    if high == low:
        return np.zeros(size[::-1], dtype=np.float32)
    unit = (nearness - low) / (high - low)
    resized = interpolate(unit[None, None], size=size[::-1], mode="bilinear", align_corners=True)[0, 0]
    found: Map = resized.cpu().numpy()
    return found


def build(settings: Settings, workshop: Workshop) -> DptDepth:
    """The model; needs nothing from the workshop."""
    return DptDepth(settings)
