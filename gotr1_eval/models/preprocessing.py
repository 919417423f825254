"""How models of OpenAI's CLIP and its heirs want pictures: resized and cropped by Pillow, in CLIP's units.

Shapes: 3 colours, then height and width in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from gotr1_eval.files.shared_pictures import once

_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
_DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
"""Of the red, green and blue of OpenAI's training pictures, in [0, 1]."""


def to_floats(picture: Image.Image) -> torch.Tensor:
    """float32 [3, height, width] in [0, 1] of an RGB picture."""
    return torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1).float() / 255


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """The pixels (any values, usually in [0, 1]) in CLIP's units: mean 0 and deviation 1 over its training pictures."""
    return (pixels - _MEAN) / _DEVIATION


def shorten(picture: Image.Image, side: int) -> Image.Image:
    """The picture with its shorter side brought to `side`, bicubic, in the mode it has; the longer is rounded down.

    Pillow resizes palettes and two colours by the nearest pixel, and colours behind transparency by how much of them
    shows: what is converted to RGB before has other colours than what is converted after.

    Raises:
        ValueError: the picture has no pixels.
    """
    shorter = min(picture.size)
    if not shorter:
        raise ValueError(f"a picture needs pixels, got one of {picture.width}x{picture.height}")
    width, height = (side * length // shorter for length in picture.size)
    return once(picture, ("shorter side", side), lambda: picture.resize((width, height), Image.Resampling.BICUBIC))


def crop_middle(picture: Image.Image, side: int) -> Image.Image:
    """The middle square; where an odd number of pixels is too many, the offset is rounded half to even.

    Source: torchvision's ``CenterCrop``, as in OpenAI's code. transformers' image processors round it down.
    """
    left, top = round((picture.width - side) / 2), round((picture.height - side) / 2)
    return picture.crop((left, top, left + side, top + side))
