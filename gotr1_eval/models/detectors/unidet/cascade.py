"""The three-stage cascade over the proposals: what each box holds, and where exactly it is.

Shapes: R boxes of one picture, C channels of the pyramid, K classes and the background as the last; of RoIAlign H and W
cells of a map, B bins along a side, G samples of a bin along a side, T = 2 G terms of a bin along a side.

In RoIAlign (arXiv 1703.06870) every one of seven by seven bins is the mean of a grid of bilinear samples, and therefore
a weighted sum of cells. The weights are products of one number a row and one a column, so that the sum is a lookup of
rows of a table with weights: `embedding_bag`, which reads nothing but the cells that count. Boxes with grids of equal
size are done together.
Source: UniDet `modeling/roi_heads/unified_roi_heads.py`; detectron2 `modeling/poolers.py` and
`roi_heads/cascade_rcnn.py`; torchvision `csrc/ops/cpu/roi_align_kernel.cpp` with `aligned=True` and an adaptive
sampling ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import embedding_bag, relu

from gotr1_eval.models.detectors.unidet.architecture import STRIDES, Architecture
from gotr1_eval.models.detectors.unidet.backbone import ConvNorm
from gotr1_eval.models.detectors.unidet.boxes import Weights, areas, clip_boxes, move_boxes

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


BINS = 7
_TERMS_AT_ONCE = 4_000_000
"""Cells and weights that are held at the same time; each takes 12 bytes."""


def roi_align(cells_CHW: torch.Tensor, boxes_R4: torch.Tensor, scale: float) -> torch.Tensor:
    """float32 [R, C, 7, 7]; a box without width or height gives zeros.

    Args:
        cells_CHW: a map of one picture.
        boxes_R4: float32, in pixels of the picture.
        scale: cells a pixel.
    """
    channels, height, width = cells_CHW.shape
    table = cells_CHW.float().permute(1, 2, 0).reshape(-1, channels).contiguous()
    start_R2 = boxes_R4[:, :2] * scale - 0.5
    bin_R2 = (boxes_R4[:, 2:] * scale - 0.5 - start_R2) / BINS
    grid_R2 = bin_R2.ceil().to(torch.int64)
    pooled = table.new_zeros(len(boxes_R4), BINS, BINS, channels)
    sizes, which_R = torch.unique(grid_R2, dim=0, return_inverse=True)
    for group, (across, down) in enumerate(sizes.tolist()):
        if across <= 0 or down <= 0:
            continue
        most = max(1, _TERMS_AT_ONCE // (BINS * BINS * 4 * across * down))
        for rows in (which_R == group).nonzero().flatten().split(most):
            columns = _axis(start_R2[rows, 0], bin_R2[rows, 0], across, width)
            lines = _axis(start_R2[rows, 1], bin_R2[rows, 1], down, height)
            pooled[rows] = _sum_cells(table, lines, columns, width)
    return pooled.permute(0, 3, 1, 2)


Axis = tuple[torch.Tensor, torch.Tensor]
"""Which cells along one axis make up each bin, int64 [R, B, T], and with which weights, float32 [R, B, T]."""


def _axis(start_R: torch.Tensor, bin_R: torch.Tensor, samples: int, length: int) -> Axis:
    """The terms of each bin along an axis of `length` cells.

    A sample more than one cell outside counts nothing; one within that margin takes the cell at the border.
    """
    bins_B = torch.arange(BINS, device=start_R.device, dtype=start_R.dtype)
    steps_G = torch.arange(samples, device=start_R.device, dtype=start_R.dtype) + 0.5
    offsets_RG = steps_G * bin_R[:, None] / samples
    places_RBG = start_R[:, None, None] + bins_B[:, None] * bin_R[:, None, None] + offsets_RG[:, None, :]
    inside_RBG = (places_RBG >= -1.0) & (places_RBG <= length)
    places_RBG = places_RBG.clamp(min=0.0)
    low_RBG = places_RBG.floor().clamp(max=length - 1)
    part_RBG = torch.where(low_RBG >= length - 1, 0.0, places_RBG - low_RBG)
    share_RBG = inside_RBG / samples
    cells = torch.cat([low_RBG, (low_RBG + 1).clamp(max=length - 1)], dim=-1).to(torch.int64)
    return cells, torch.cat([(1.0 - part_RBG) * share_RBG, part_RBG * share_RBG], dim=-1)


def _sum_cells(table: torch.Tensor, lines: Axis, columns: Axis, width: int) -> torch.Tensor:
    """[R, B, B, C]: for each bin the sum over its lines and columns."""
    cells = lines[0][:, :, None, :, None] * width + columns[0][:, None, :, None, :]
    weights = lines[1][:, :, None, :, None] * columns[1][:, None, :, None, :]
    sums = embedding_bag(
        cells.reshape(-1, cells.shape[-1] * cells.shape[-2]),
        table,
        per_sample_weights=weights.reshape(-1, cells.shape[-1] * cells.shape[-2]),
        mode="sum",
    )
    return sums.view(len(cells), BINS, BINS, -1)
