"""LPIPS 0.1 on AlexNet (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018).

The distance of two pictures is the mean over places of a weighted sum of squared differences between unit features,
added up over five layers. That is the squared distance between two long rows, which are what this gives.

The layers and the five heads come from the authors' files: torchvision's AlexNet, and ``weights/v0.1/alex.pth`` of
their package. Departure: pictures are brought to one size first, the shorter side by Pillow and the middle cut out,
since only pictures of one size can be compared; the authors leave that to the caller.

Shapes: N pictures, S side in pixels, C channels, H x W places of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import DataError, MissingWeightsError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import files_digest
from gotr1_eval.models.encoders._open_clip import read_tensors
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.models.preprocessing import crop_middle, shorten, to_floats
from gotr1_eval.models.reward_models._affine_head import check_tensors
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
CONVOLUTIONS = {
    0: (3, 64, 11, 4, 2),
    3: (64, 192, 5, 1, 2),
    6: (192, 384, 3, 1, 1),
    8: (384, 256, 3, 1, 1),
    10: (256, 256, 3, 1, 1),
}
"""Place among AlexNet's layers -> channels in and out, side of the kernel, stride, padding."""
POOLED = (0, 3)
"""Convolutions behind whose activation the greatest of 3 x 3 places, every second, is taken."""
_SHIFT, _SCALE = (torch.tensor(values)[:, None, None] for values in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
"""Of pixels in [-1, 1], as the authors' scaling layer has them."""
_EPSILON = 1e-10


class Settings(StrictSettings):
    """Where the weights are, and how they are run.

    Attributes:
        backbone: torchvision's AlexNet, ``alexnet-owt-7be5be79.pth``.
        heads: the authors' ``alex.pth`` of version 0.1.
        side: to which pictures are brought, in pixels; the paper's are of 64.
        device: `auto` is the first GPU if there is one.
        batch_size: pictures in one forward pass; halved for the call when memory runs out.
    """

    backbone: Path
    heads: Path
    side: int = Field(256, ge=64)
    device: str = "auto"
    batch_size: int = Field(16, ge=1)


class AlexNetFeatures(nn.Module):
    """The five activations of AlexNet, each weighted by its head: rows whose squared distance is LPIPS."""

    def __init__(self, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict()
        for place, (inner, outer, side, stride, padding) in CONVOLUTIONS.items():
            layer = nn.Conv2d(inner, outer, side, stride, padding)
            layer.load_state_dict({name: backbone[f"features.{place}.{name}"] for name in ("weight", "bias")})
            self.convolutions[str(place)] = layer
        for number in range(len(CONVOLUTIONS)):
            self.register_buffer(f"head{number}", heads[_head(number)].flatten().sqrt())

    def forward(self, x_N3SS: Tensor) -> Tensor:
        """[N, the sum of C * H * W over the layers], from pixels in [0, 1]."""
        x = (2.0 * x_N3SS - 1.0 - _SHIFT.to(x_N3SS)) / _SCALE.to(x_N3SS)
        rows = []
        for number, (place, layer) in enumerate(self.convolutions.items()):
            x = layer(x).relu()
            unit = x / (x.norm(dim=1, keepdim=True) + _EPSILON)
            weight: Tensor = getattr(self, f"head{number}")
            rows.append((unit * weight[:, None, None]).flatten(1) / (x.shape[2] * x.shape[3]) ** 0.5)
            if int(place) in POOLED:
                x = nn.functional.max_pool2d(x, 3, 2)
        return torch.cat(rows, dim=1)


def _head(number: int) -> str:
    return f"lin{number}.model.1.weight"


class Lpips(LocalModel[AlexNetFeatures]):
    """Rows of numbers whose squared distances are LPIPS; see `gotr1_eval.core.protocols.Perceptual`."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device, MissingWeightsError when there is no such file."""
        super().__init__(device=settings.device, dtype="float32", batch_size=settings.batch_size)
        self._settings = settings
        for name, path in (("backbone", settings.backbone), ("heads", settings.heads)):
            if not path.expanduser().is_file():
                raise MissingWeightsError(f"lpips: no file {path}; give the weights as `{name}`")

    @property
    def name(self) -> str:
        """With the side of the pictures, on which distances depend."""
        return f"lpips-alex[{self._settings.side} px]"

    @cached_property
    def fingerprint(self) -> str:
        """Of both files and the side."""
        files = files_digest([self._settings.backbone, self._settings.heads])
        return identifiers.fingerprint(
            {"perceptual": "lpips", "version": VERSION, "files": files, "side": self._settings.side}
        )

    def _load(self) -> AlexNetFeatures:
        backbone, heads = (read_tensors(path.expanduser()) for path in (self._settings.backbone, self._settings.heads))
        sizes: dict[str, tuple[int, ...]] = {
            f"features.{place}.weight": (outer, inner, side, side)
            for place, (inner, outer, side, *_) in CONVOLUTIONS.items()
        }
        sizes |= {f"features.{place}.bias": (outer,) for place, (_, outer, *_) in CONVOLUTIONS.items()}
        layers = {name: tensor for name, tensor in backbone.items() if name.startswith("features.")}
        check_tensors(self._settings.backbone, "AlexNet's convolutions", sizes, layers)
        outer = [channels for _, channels, *_ in CONVOLUTIONS.values()]
        known = {_head(number): (1, channels, 1, 1) for number, channels in enumerate(outer)}
        check_tensors(self._settings.heads, "LPIPS's heads on AlexNet", known, heads)
        if any(bool((tensor < 0).any()) for tensor in heads.values()):
            raise DataError("a head of LPIPS is negative, which the authors' never are", path=self._settings.heads)
        return AlexNetFeatures(layers, heads).to(self._device).eval()

    @property
    def _network(self) -> nn.Module:
        return self.loaded

    def features(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """float32 [N, width]; raises BackendError when memory does not suffice for a single picture."""
        rows = self._in_batches(images, self._rows)
        found = np.stack(rows) if rows else np.empty((0, 0), np.float32)
        self._require_finite(np.isfinite(found).all(), "a feature")
        return found

    def _rows(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        side = self._settings.side
        pixels_N3SS = torch.stack([to_floats(crop_middle(shorten(to_rgb(image), side), side)) for image in images])
        return [*self.loaded(pixels_N3SS.to(self._device)).cpu().numpy()]


def build(settings: Settings, workshop: Workshop) -> Lpips:
    """The distance; needs nothing from the workshop."""
    return Lpips(settings)
