"""Pictures as Grounding DINO sees them: 800 pixels on the shorter side, at most 1333 on the longer, ImageNet's units.

Source: `GroundingDinoImageProcessor` of transformers, which needs torchvision; the sums are the same without.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from gotr1_eval.files.pictures import to_rgb

_SHORTER, _LONGER = 800, 1333
_SHORTEST = 33
"""Of the shorter side: of a picture any narrower the feature maps have fewer than the 900 places that the model picks
its candidates from, and it fails. Upstream's sizes are left only where upstream cannot run."""
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
"""Of red, green and blue over ImageNet, in [0, 1]."""


def model_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels at which the model sees a picture of (width, height).

    The longer side is rounded down, the shorter half to even where it is the longer one that binds.
    """
    short, long = min(size), max(size)
    bound = _LONGER * short / long if long / short * _SHORTER > _LONGER else float(_SHORTER)
    if round(bound) == short:
        return size
    shorter, longer = max(round(bound), _SHORTEST), int(bound * long / short)
    return (shorter, longer) if size[0] <= size[1] else (longer, shorter)


def prepare(picture: Image.Image) -> torch.Tensor:
    """float32 [3, height, width] at `model_size`: resized bilinearly by Pillow, in ImageNet's units."""
    rgb = to_rgb(picture)
    resized = rgb.resize(model_size(rgb.size), Image.Resampling.BILINEAR)
    levels = torch.from_numpy(np.array(resized, dtype=np.uint8)).permute(2, 0, 1)
    return (levels.float() / 255 - _MEAN) / _DEVIATION
