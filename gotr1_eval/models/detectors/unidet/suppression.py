"""Non-maximum suppression: of boxes that overlap, the one with the highest score stays.

Shapes: R boxes in pixels, S of them in one group.

The overlaps of a group are one matrix; only the verdicts, which depend on one another, are taken in turn. Groups
never see one another. torchvision's `batched_nms` does the same up to 1000 boxes on the CPU (and far more on a GPU)
by shifting the boxes of each group out of the others' way, which rounds coordinates: to 0.03 pixels for class 700.
Source: torchvision `csrc/ops/cpu/nms_kernel.cpp`, for the order of sums and for ties.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gotr1_eval.models.detectors.unidet.boxes import areas

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
