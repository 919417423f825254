"""The size at which a model sees a picture, which its boxes are in pixels of."""

from __future__ import annotations

UNIDET_SIDES = (479, 480)
"""(shorter side, most of the longer one), in pixels."""


def unidet_frame(width: int, height: int) -> tuple[int, int]:
    """(width, height) at which UniDet sees a picture, as T2I-CompBench's script asks of it.

    512x512 becomes 479x479, 600x300 becomes 480x240 (model_bank.py; torchvision's `Resize`). Sides are cut to whole
    pixels, the shorter one after the longer one was. A side has at least one pixel, where the script fails.
    """
    least, most = UNIDET_SIDES
    short, long = sorted((width, height))
    shorter, longer = least, int(least * long / short)
    if longer > most:
        shorter, longer = max(1, int(most * shorter / longer)), most
    return (shorter, longer) if width <= height else (longer, shorter)
