"""Boxes in pixels: how the model moves them, cuts them off, and which of those that overlap stay.

Shapes: R boxes (or any number of axes in front), S of them in one group; 4 numbers x1, y1, x2, y2 in pixels of the
picture as the model sees it.

In non-maximum suppression the overlaps of a group are one matrix; only the verdicts, which depend on one another, are
taken in turn. Groups never see one another. torchvision's `batched_nms` does the same up to 1000 boxes on the CPU (and
far more on a GPU) by shifting the boxes of each group out of the others' way, which rounds coordinates: to 0.03 pixels
for class 700.
Source: detectron2 `modeling/box_regression.py` and `structures/boxes.py`; torchvision `csrc/ops/cpu/nms_kernel.cpp`,
for the order of sums and for ties.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

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


_SHARED_MATRIX = 1_000
"""Groups are judged together while they have no more boxes than this: a matrix of many small groups costs less than
many small matrices."""


def overlaps(boxes_S4: torch.Tensor) -> torch.Tensor:
    """[S, S]: intersection over union of each pair; not a number for two boxes without area."""
    corner_SS2 = torch.maximum(boxes_S4[:, None, :2], boxes_S4[None, :, :2])
    opposite_SS2 = torch.minimum(boxes_S4[:, None, 2:], boxes_S4[None, :, 2:])
    sides_SS2 = (opposite_SS2 - corner_SS2).clamp_(min=0)
    shared_SS = sides_SS2[..., 0] * sides_SS2[..., 1]
    area_S = areas(boxes_S4)
    return shared_SS / (area_S[:, None] + area_S[None, :] - shared_SS)


def suppress(boxes_R4: torch.Tensor, scores_R: torch.Tensor, groups_R: torch.Tensor, threshold: float) -> torch.Tensor:
    """int64: places of the boxes that stay, best first; of equal scores the earlier one.

    Args:
        boxes_R4: float32; a box without area suppresses nothing that has any.
        scores_R: any floating-point format.
        groups_R: integers; only boxes of one group suppress one another.
        threshold: an overlap above this suppresses; one that equals it does not.
    """
    by_score_R = scores_R.sort(descending=True, stable=True).indices
    by_group_R = by_score_R[groups_R[by_score_R].sort(stable=True).indices]
    groups = groups_R[by_group_R]
    sizes = torch.unique_consecutive(groups, return_counts=True)[1].tolist()
    stays = np.empty(len(groups), dtype=np.bool_)
    start = 0
    for size in _merge(sizes):
        span = slice(start, start + size)
        stays[span] = _stay(boxes_R4[by_group_R[span]], groups[span], threshold)
        start += size
    kept_R = torch.zeros(len(groups), dtype=torch.bool, device=boxes_R4.device)
    kept_R[by_group_R] = torch.from_numpy(stays).to(boxes_R4.device)
    return by_score_R[kept_R[by_score_R]]


def _merge(sizes: list[int]) -> list[int]:
    """Neighbouring groups put together, up to the size of a shared matrix."""
    merged: list[int] = []
    for size in sizes:
        if merged and merged[-1] + size <= _SHARED_MATRIX:
            merged[-1] += size
        else:
            merged.append(size)
    return merged


def _stay(boxes_S4: torch.Tensor, groups_S: torch.Tensor, threshold: float) -> NDArray[np.bool_]:
    """Which boxes stay; they come best first within each group."""
    beats_SS = (overlaps(boxes_S4) > threshold) & (groups_S[:, None] == groups_S[None, :])
    beats = beats_SS.cpu().numpy()
    stays = np.ones(len(beats), dtype=np.bool_)
    for place in np.flatnonzero(np.triu(beats, 1).any(axis=1)):
        if stays[place]:
            stays[place + 1 :] &= ~beats[place, place + 1 :]
    return stays
