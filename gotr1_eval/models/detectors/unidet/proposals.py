"""The region proposal network: from the pyramid to a thousand boxes that may hold something.

Shapes: N pictures, C channels, L cells of a level times anchors a cell, K candidates of a level, R proposals.
Source: detectron2 `modeling/proposal_generator/rpn.py`, `proposal_utils.py`, `modeling/anchor_generator.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import relu

from gotr1_eval.core.errors import BackendError
from gotr1_eval.models.detectors.unidet.architecture import STRIDES
from gotr1_eval.models.detectors.unidet.boxes import clip_boxes, has_area, move_boxes, suppress

_SIDES = (32, 64, 128, 256, 512)
"""Of a level's anchors, in pixels; each also comes a third and two thirds of an octave larger."""
_RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""
ANCHORS = 3 * len(_RATIOS)
_UNWEIGHTED = (1.0, 1.0, 1.0, 1.0)
_CANDIDATES = 1000
"""Of a level before suppression, and of a picture after it."""
_OVERLAP = 0.7


def cell_anchors(side: float) -> torch.Tensor:
    """float32 [9, 4]: the anchors of a level around (0, 0); sizes outside, ratios inside."""
    rows = []
    for octave in range(3):
        area = (side * 2 ** (octave / 3)) ** 2
        for ratio in _RATIOS:
            width = math.sqrt(area / ratio)
            height = ratio * width
            rows.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(rows)


def level_anchors(height: int, width: int, stride: int, side: float) -> torch.Tensor:
    """float32 [height * width * 9, 4], row by row of the map; a cell's anchors lie around its upper left corner."""
    down, right = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    shifts = torch.stack([right, down, right, down], dim=-1).view(-1, 1, 4).float()
    return (shifts + cell_anchors(side)).view(-1, 4)


class Head(nn.Module):
    """Shared by all levels: how likely each anchor holds something, and where to move it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness_logits = nn.Conv2d(channels, ANCHORS, 1)
        self.anchor_deltas = nn.Conv2d(channels, ANCHORS * 4, 1)

    def forward(self, cells_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[N, 9, H, W] logits and [N, 36, H, W] deltas, an anchor's four together."""
        inner = relu(self.conv(cells_NCHW))
        return self.objectness_logits(inner), self.anchor_deltas(inner)


class Proposer(nn.Module):
    """Proposals of all levels together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rpn_head = Head(channels)

    def forward(self, pyramid: Sequence[torch.Tensor], size: tuple[int, int]) -> list[torch.Tensor]:
        """For each picture float32 [R, 4] with R at most 1000, the likeliest first.

        Args:
            pyramid: `p3` to `p7`, each [N, C, H, W].
            size: (width, height) of the pictures without their padding, in pixels.
        """
        levels = [self._level(*level, size=size) for level in zip(pyramid, STRIDES, _SIDES, strict=True)]
        return [
            merge_levels([logits_NK[place] for logits_NK, _ in levels], [boxes_NK4[place] for _, boxes_NK4 in levels])
            for place in range(len(pyramid[0]))
        ]

    def _level(
        self, cells_NCHW: torch.Tensor, stride: int, side: float, size: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[N, K] logits and [N, K, 4] boxes of the candidates of one level, best first."""
        logits_NAHW, deltas_NDHW = self.rpn_head(cells_NCHW)
        height, width = cells_NCHW.shape[-2:]
        logits_NL = logits_NAHW.permute(0, 2, 3, 1).flatten(1)
        deltas_NL4 = deltas_NDHW.permute(0, 2, 3, 1).reshape(len(cells_NCHW), -1, 4)
        best = logits_NL.sort(dim=1, descending=True, stable=True)
        places_NK = best.indices[:, :_CANDIDATES]
        anchors_NK4 = level_anchors(height, width, stride, side).to(cells_NCHW.device)[places_NK]
        deltas_NK4 = deltas_NL4.gather(1, places_NK[..., None].expand(-1, -1, 4))
        return best.values[:, :_CANDIDATES], clip_boxes(move_boxes(anchors_NK4, deltas_NK4, _UNWEIGHTED), size)


def merge_levels(logits: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor]) -> torch.Tensor:
    """float32 [R, 4]: the proposals of one picture; overlapping ones of the same level are suppressed.

    What is not finite or has no area is left out.

    Raises:
        BackendError: nothing is finite, and "no proposals" would say that the picture is empty.
    """
    logits_K, boxes_K4 = torch.cat(list(logits)), torch.cat(list(boxes))
    levels_K = torch.cat([torch.full_like(one, level, dtype=torch.int64) for level, one in enumerate(logits)])
    finite_K = boxes_K4.isfinite().all(dim=1) & logits_K.isfinite()
    if not finite_K.any():
        raise BackendError("unidet: no proposal is finite; the weights are damaged, or try precision float32")
    sound_K = finite_K & has_area(boxes_K4)
    logits_K, boxes_K4, levels_K = logits_K[sound_K], boxes_K4[sound_K], levels_K[sound_K]
    return boxes_K4[suppress(boxes_K4, logits_K, levels_K, _OVERLAP)[:_CANDIDATES]]
