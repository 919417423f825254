"""Boxes in pixels: how the model moves them, cuts them off, and which are empty.

Shapes: R boxes (or any number of axes in front), 4 numbers x1, y1, x2, y2 in pixels of the picture as the model sees
it.
Source: detectron2 `modeling/box_regression.py` and `structures/boxes.py`.
"""

from __future__ import annotations

import math

import torch

_LARGEST_STEP = math.log(1000.0 / 16)
"""A box grows at most 62.5-fold; shrinking is not limited."""

Weights = tuple[float, float, float, float]


def move_boxes(boxes_R4: torch.Tensor, deltas_R4: torch.Tensor, weights: Weights) -> torch.Tensor:
    """float32 [R, 4]: the boxes shifted and scaled by what the model says.

    Args:
        boxes_R4: float32.
        deltas_R4: shifts in widths and heights, and logarithms of factors, each multiplied by its weight.
        weights: of x, y, width and height.
    """
    deltas = deltas_R4.float()
    width, height = boxes_R4[..., 2] - boxes_R4[..., 0], boxes_R4[..., 3] - boxes_R4[..., 1]
    x, y = boxes_R4[..., 0] + 0.5 * width, boxes_R4[..., 1] + 0.5 * height
    x = deltas[..., 0] / weights[0] * width + x
    y = deltas[..., 1] / weights[1] * height + y
    half_width = 0.5 * ((deltas[..., 2] / weights[2]).clamp(max=_LARGEST_STEP).exp() * width)
    half_height = 0.5 * ((deltas[..., 3] / weights[3]).clamp(max=_LARGEST_STEP).exp() * height)
    return torch.stack([x - half_width, y - half_height, x + half_width, y + half_height], dim=-1)


def clip_boxes(boxes_R4: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The boxes cut off at the borders of a picture of `size` = (width, height)."""
    limits = boxes_R4.new_tensor([*size, *size])
    return boxes_R4.clamp(min=torch.zeros_like(limits), max=limits)


def has_area(boxes_R4: torch.Tensor) -> torch.Tensor:
    """bool [R]: wider and higher than nothing."""
    return (boxes_R4[..., 2] > boxes_R4[..., 0]) & (boxes_R4[..., 3] > boxes_R4[..., 1])


def areas(boxes_R4: torch.Tensor) -> torch.Tensor:
    """[R]: width times height, in square pixels."""
    return (boxes_R4[..., 2] - boxes_R4[..., 0]) * (boxes_R4[..., 3] - boxes_R4[..., 1])
