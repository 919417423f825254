"""The three-stage cascade over the proposals: what each box holds, and where exactly it is.

Shapes: R boxes of one picture, C channels of the pyramid, K classes and the background as the last.
Source: UniDet `modeling/roi_heads/unified_roi_heads.py`; detectron2 `modeling/poolers.py` and
`roi_heads/cascade_rcnn.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import relu

from gotr1_eval.models.detectors.unidet.architecture import STRIDES, Architecture
from gotr1_eval.models.detectors.unidet.boxes import Weights, areas, clip_boxes, move_boxes
from gotr1_eval.models.detectors.unidet.layers import ConvNorm
from gotr1_eval.models.detectors.unidet.roi_align import BINS, roi_align

STAGE_WEIGHTS: tuple[Weights, ...] = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))
_POOLED_LEVELS = 3
"""Boxes are pooled from `p3` to `p5`."""
_CANONICAL_SIDE = 224
"""In pixels: a square box of this side is pooled from the level after the next to `p2`."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage made of its boxes: [R, 4] as they came and as they went, [R, K + 1] logits, [R, 4] deltas."""

    boxes: torch.Tensor
    logits: torch.Tensor
    deltas: torch.Tensor
    moved: torch.Tensor


class BoxHead(nn.Module):
    """The features of a box: convolutions, then hidden layers."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._convolutions = [f"conv{number + 1}" for number in range(architecture.head_convolutions)]
        self._layers = [f"fc{number + 1}" for number in range(architecture.head_layers)]
        for name in self._convolutions:
            setattr(self, name, ConvNorm(architecture.channels, architecture.channels, kernel=3))
        inputs = architecture.channels * BINS * BINS
        for name in self._layers:
            setattr(self, name, nn.Linear(inputs, architecture.head_width))
            inputs = architecture.head_width

    def forward(self, pooled_RC77: torch.Tensor) -> torch.Tensor:
        """[R, head_width]."""
        values = pooled_RC77
        for name in self._convolutions:
            values = relu(getattr(self, name)(values))
        values = values.flatten(1)
        for name in self._layers:
            values = relu(getattr(self, name)(values))
        return values


class Predictor(nn.Module):
    """Logits of the classes and one move of the box, whatever its class."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.cls_score = nn.Linear(architecture.head_width, architecture.classes + 1)
        self.bbox_pred = nn.Linear(architecture.head_width, 4)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[R, K + 1] and [R, 4]."""
        return self.cls_score(features), self.bbox_pred(features)


class Cascade(nn.Module):
    """Three stages; the boxes that leave one enter the next, none is dropped between them."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.box_head = nn.ModuleList([BoxHead(architecture) for _ in STAGE_WEIGHTS])
        self.box_predictor = nn.ModuleList([Predictor(architecture) for _ in STAGE_WEIGHTS])

    def forward(self, levels: Sequence[torch.Tensor], boxes_R4: torch.Tensor, size: tuple[int, int]) -> list[Stage]:
        """The three stages of one picture.

        Args:
            levels: `p3` to `p5` (more are not looked at), each [C, H, W].
            boxes_R4: the proposals, float32 in pixels.
            size: (width, height) of the picture without padding.
        """
        stages = []
        for head, predictor, weights in zip(self.box_head, self.box_predictor, STAGE_WEIGHTS, strict=True):
            logits, deltas = predictor(head(pool(levels, boxes_R4)))
            moved_R4 = clip_boxes(move_boxes(boxes_R4, deltas, weights), size)
            stages.append(Stage(boxes_R4, logits, deltas, moved_R4))
            boxes_R4 = moved_R4
        return stages


def pooling_level(boxes_R4: torch.Tensor) -> torch.Tensor:
    """int64 [R]: 0 to 2 for `p3` to `p5`, by the square root of the box's area."""
    octave_R = torch.floor(4 + torch.log2(areas(boxes_R4).sqrt() / _CANONICAL_SIDE + 1e-8))
    return octave_R.clamp(3, 5).to(torch.int64) - 3


def pool(levels: Sequence[torch.Tensor], boxes_R4: torch.Tensor) -> torch.Tensor:
    """[R, C, 7, 7] in the format of the levels: each box from the level that fits its size.

    Boxes take the format of the features first, as in the reference: under 16 bits they are rounded, above 256 pixels
    to quarters.
    """
    level_R = pooling_level(boxes_R4)
    pooled = levels[0].new_zeros(len(boxes_R4), levels[0].shape[0], BINS, BINS)
    for level, (cells_CHW, stride) in enumerate(zip(levels[:_POOLED_LEVELS], STRIDES, strict=False)):
        rows = (level_R == level).nonzero().flatten()
        rounded_R4 = boxes_R4[rows].to(cells_CHW.dtype).float()
        pooled[rows] = roi_align(cells_CHW, rounded_R4, 1 / stride).to(cells_CHW.dtype)
    return pooled
