"""Pictures as T2I-CompBench's scripts hand them to UniDet: 479 pixels on the shorter side, at most 480 on the longer.

Shapes: N pictures of equal size.

The scripts hand over the planes blue, green, red. For R50 that is right. RS200 was trained on red, green, blue with
means in that order; the step that would turn the planes round is in a part of detectron2 that the scripts leave out.
So under `reference` RS200 sees red as blue; under `corrected` it sees what it was trained on. Source:
`UniDet_eval/experts/generate_dataset.py` and `model_bank.py`, detectron2 `modeling/meta_arch/rcnn.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import pad

from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.detectors.unidet.architecture import Architecture
from gotr1_eval.models.detectors.unidet.backbone import MULTIPLE

Semantics = Literal["reference", "corrected"]

_SHORTER, _LONGER = 479, 480


def frame_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels at which UniDet sees a picture of (width, height), and in which its boxes are.

    512x512 becomes 479x479, 600x300 becomes 480x240. The shorter side is at least one pixel, where the reference fails.
    """
    short, long = sorted(size)
    shorter, longer = _SHORTER, int(_SHORTER * long / short)
    if longer > _LONGER:
        shorter, longer = max(1, int(_LONGER * shorter / longer)), _LONGER
    return (shorter, longer) if size[0] <= size[1] else (longer, shorter)


def resize(picture: Image.Image, semantics: Semantics) -> Image.Image:
    """RGB at `frame_size`, bilinear with Pillow's antialiasing.

    Transparency and 16 bits are only met where a caller has not made the picture RGB: `reference` drops the first and
    clips the second, as Pillow's `convert` does; `corrected` lays over white and scales.
    """
    rgb = picture.convert("RGB") if semantics == "reference" else to_rgb(picture)
    return rgb.resize(frame_size(rgb.size), Image.Resampling.BILINEAR)


def to_planes(picture: Image.Image, architecture: Architecture, semantics: Semantics) -> torch.Tensor:
    """uint8 [3, height, width] of an RGB picture: blue first, except where `corrected` meets means of red first."""
    planes = torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1)
    red_first = semantics == "corrected" and architecture.order == "RGB"
    return planes if red_first else planes.flip(0)


def to_batch(planes: Sequence[torch.Tensor], architecture: Architecture, device: torch.device) -> torch.Tensor:
    """float32 [N, 3, H, W] of planes of one size: in the model's units, then zeros up to multiples of 32.

    The zeros lie at the right and the bottom, and are the mean colour.
    """
    levels_N3HW = torch.stack(list(planes)).to(device).float()
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1) for values in (architecture.mean, architecture.deviation)
    )
    height, width = levels_N3HW.shape[-2:]
    return pad((levels_N3HW - mean) / deviation, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
