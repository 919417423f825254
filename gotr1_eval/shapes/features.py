"""What a picture of the shapes world looks like as a row of numbers: which colour lies where, from pixels alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 8
"""Cells a side of the picture, as many as the world's grid has."""
NAME = f"colours on an {SIDE} x {SIDE} grid"


def colour_grid(image: Image.Image) -> NDArray[np.float64]:
    """[3 * 8 * 8], in [0, 1]: how far the mean colour of each cell is from white, by channel.

    White is the world's background, so that an empty picture is all 0.
    """
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return 1.0 - np.asarray(small, dtype=np.float64).ravel() / 255.0
