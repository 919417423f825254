"""RoIAlign (arXiv 1703.06870): what a feature map holds inside a box, as seven by seven bins.

Shapes: C channels, H and W cells of a map, R boxes, B bins along a side, G samples of a bin along a side, T = 2 G
terms of a bin along a side.

Every bin is the mean of a grid of bilinear samples, and therefore a weighted sum of cells. The weights are products of
one number a row and one a column, so that the sum is a lookup of rows of a table with weights: `embedding_bag`, which
reads nothing but the cells that count. Boxes with grids of equal size are done together.
Source: torchvision `csrc/ops/cpu/roi_align_kernel.cpp` with `aligned=True` and an adaptive sampling ratio.
"""

from __future__ import annotations

import torch
from torch.nn.functional import embedding_bag

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
