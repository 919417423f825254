"""Pictures as mmdet 2.x hands them to Mask2Former's instance model: 800 by 1333 pixels, padded with grey, normalised.

The grey (128) is put around the picture *before* normalising, as in training, so that the network sees about
(0.07, 0.21, 0.43) there and not 0. Nothing tells the network where the picture ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gotr1_eval.models.detectors._opencv import Levels, resize_linear

Size = tuple[int, int]
"""(width, height) in pixels."""
BOUNDS = (1333, 800)
"""What the longer and the shorter side may have; small pictures grow until one of them binds."""
_MULTIPLE, _GREY = 32, 128


@dataclass(frozen=True, slots=True)
class Frame:
    """The three sizes of a picture on its way: its own, the one it is resized to, and that with padding."""

    picture: Size
    resized: Size
    padded: Size


def frame_of(picture: Size, bounds: tuple[int, int] = BOUNDS) -> Frame:
    """The sizes of a picture, its proportions kept.

    Of a picture more than 2666 times as long as wide no pixel would be left of the shorter side, and mmdet fails; here
    one is left.
    """
    factor = min(bounds[0] / max(picture), bounds[1] / min(picture))
    width, height = (max(int(side * factor + 0.5), 1) for side in picture)
    padded = (-(-width // _MULTIPLE) * _MULTIPLE, -(-height // _MULTIPLE) * _MULTIPLE)
    return Frame(picture, (width, height), padded)


def prepare(levels: Levels, frame: Frame) -> torch.Tensor:
    """float32 [3, height, width] at the padded size: red, green, blue in units of ImageNet's deviation."""
    width, height = frame.resized
    resized = resize_linear(levels, frame.resized)
    pixels = np.empty((3, frame.padded[1], frame.padded[0]), dtype=np.float32)
    for channel, values in enumerate(_VALUES):
        pixels[channel] = values[_GREY]
        pixels[channel, :height, :width] = values[resized[:, :, channel]]
    return torch.from_numpy(pixels)


def _normalised() -> NDArray[np.float32]:
    """[3, 256]: what each level becomes; rounded to float32 after the subtraction and again after the product."""
    means = np.array([123.675, 116.28, 103.53], dtype=np.float32).astype(np.float64)
    deviations = np.array([58.395, 57.12, 57.375], dtype=np.float32).astype(np.float64)
    centred = (np.arange(256) - means[:, None]).astype(np.float32)
    return (centred * (1 / deviations[:, None])).astype(np.float32)


_VALUES = _normalised()
