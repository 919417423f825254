"""From Mask2Former's logits to instances, as mmdet 2.x reads them, but resizing only masks that can still count.

Shapes: Q queries, C classes (the last logit is "nothing"), R rows: the 100 likeliest pairs of a query and a class, so
that one query may be several things; K queries whose masks are resized; h and w a quarter of the padded size; H and W
the picture's own size.

A row's score is its class probability times the mean probability of its mask's pixels. The latter is at most that of
the mask's highest logit, since resizing only averages: a row whose product with that bound stays under the threshold
is dropped before its mask is resized. mmdet resizes all 100.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from gotr1_eval.models.detectors._mask2former_pictures import Frame

_ROWS = 100
_PIXELS_AT_ONCE = 4_000_000
"""Of masks that are resized together: large enough to keep a GPU busy, 16 MB in float32."""
_ROUNDING = 1.001
"""No bound is exact in floating point; this much more lets every row through that could pass."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One row that passed.

    Attributes:
        place: of its class.
        box: (x1, y1, x2, y2) in pixels of the picture, tight around the mask; x2 and y2 are the first pixel outside.
            All 0 where the mask is empty.
        mask: bool [height, width] in the picture's own size; rows of one query share the array.
    """

    place: int
    score: float
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def read_instances(
    classes_QC: torch.Tensor,
    masks_Qhw: torch.Tensor,
    frame: Frame,
    *,
    above: float | None,
    places: Collection[int] | None = None,
) -> list[Instance]:
    """The instances of a picture in the order of their class probability.

    Args:
        classes_QC: class logits, the last of "nothing".
        masks_Qhw: mask logits.
        above: only what scores strictly more; None for all 100 rows, empty masks (score 0) included.
        places: of the classes wanted; None for all.
    """
    chances_QC = classes_QC.softmax(dim=-1)[:, :-1]
    chance_R, pair_R = chances_QC.flatten().topk(min(_ROWS, chances_QC.numel()))
    query_R, place_R = pair_R // chances_QC.shape[1], pair_R % chances_QC.shape[1]
    counts_R = torch.ones_like(query_R, dtype=torch.bool)
    if above is not None:
        counts_R &= chance_R * _quality_bound(masks_Qhw)[query_R] > above
    if places is not None:
        counts_R &= torch.isin(place_R, torch.tensor(sorted(places), device=place_R.device))
    kept_K, mask_R = torch.unique(query_R[counts_R], return_inverse=True)
    if not len(kept_K):
        return []
    quality_K, masks_K = _resize(masks_Qhw, kept_K, frame)
    score_R = chance_R[counts_R] * quality_K[mask_R]
    boxes_K = [tight_box(mask) for mask in masks_K]
    passed_R = score_R > (-1 if above is None else above)
    rows = zip(place_R[counts_R].tolist(), score_R.tolist(), mask_R.tolist(), passed_R.tolist(), strict=True)
    return [Instance(place, score, boxes_K[mask], masks_K[mask]) for place, score, mask, passed in rows if passed]


def _quality_bound(masks_Qhw: torch.Tensor) -> torch.Tensor:
    """[Q]: what the mean probability of the mask's pixels cannot exceed; 0 where no pixel can be positive."""
    highest_Q = masks_Qhw.amax(dim=(1, 2))
    return torch.where(highest_Q > 0, highest_Q.sigmoid() * _ROUNDING, 0)


def _resize(
    masks_Qhw: torch.Tensor, kept_K: torch.Tensor, frame: Frame
) -> tuple[torch.Tensor, list[NDArray[np.bool_]]]:
    """Mean probability of the pixels of each mask, and the mask, a few queries at a time."""
    largest = max(width * height for width, height in (frame.padded, frame.picture))
    qualities, masks = [], list[NDArray[np.bool_]]()
    for some_K in torch.split(kept_K, max(_PIXELS_AT_ONCE // largest, 1)):
        logits_KHW = _to_picture(masks_Qhw[some_K], frame)
        positive_KHW = logits_KHW > 0
        area_K = positive_KHW.flatten(1).sum(1, dtype=torch.float32)
        qualities.append(logits_KHW.sigmoid_().mul_(positive_KHW).flatten(1).sum(1) / (area_K + 1e-6))
        masks += list(positive_KHW.cpu().numpy())
    return torch.cat(qualities), masks


def _to_picture(masks_Khw: torch.Tensor, frame: Frame) -> torch.Tensor:
    """Logits to the padded size, without the padding, to the picture's own size: two steps, as mmdet's.

    The masks lie along the batch axis: with exactly three channels torch takes another way, which rounds differently.
    """
    width, height = frame.resized
    padded = interpolate(masks_Khw[:, None], frame.padded[::-1], mode="bilinear", align_corners=False)
    inner = padded[:, :, :height, :width]
    return interpolate(inner, frame.picture[::-1], mode="bilinear", align_corners=False)[:, 0]


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2) in pixels around what is true, right and bottom exclusive; all 0 for an empty mask."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return (0, 0, 0, 0)
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
