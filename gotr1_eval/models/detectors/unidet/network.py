"""UniDet (arXiv 2102.13086) as a network: a batch of prepared pictures to boxes, scores and classes.

Shapes: N pictures of equal size, R proposals, K classes, D detections of one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from gotr1_eval.core.errors import BackendError
from gotr1_eval.models.detectors.unidet.architecture import Architecture
from gotr1_eval.models.detectors.unidet.boxes import has_area
from gotr1_eval.models.detectors.unidet.cascade import Cascade, Stage
from gotr1_eval.models.detectors.unidet.proposals import Proposer
from gotr1_eval.models.detectors.unidet.pyramid import Pyramid
from gotr1_eval.models.detectors.unidet.suppression import suppress

THRESHOLD = 0.1
"""T2I-CompBench's copy of UniDet has this number in place of the configured one; 0.5 in its scripts has no effect."""
_OVERLAP = 0.5
_MOST = 300


@dataclass(frozen=True, slots=True)
class Found:
    """The detections of one picture, best first.

    Attributes:
        boxes: float32 [D, 4], in pixels of the picture as the model sees it.
        scores: float32 [D], in [0, 1].
        classes: int64 [D].
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor


class UniDet(nn.Module):
    """The names of the layers are those of the published checkpoints."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.backbone = Pyramid(architecture)
        self.proposal_generator = Proposer(architecture.channels)
        self.roi_heads = Cascade(architecture)

    def forward(self, pixels_N3HW: torch.Tensor, size: tuple[int, int]) -> list[Found]:
        """The detections of each picture.

        The cascade takes the pictures one by one: a thousand boxes fill any device, and a picture's numbers then do
        not depend on its neighbours.

        Args:
            pixels_N3HW: normalised, and padded at the right and the bottom to multiples of 32.
            size: (width, height) without padding.

        Raises:
            BackendError: a feature is not finite: what is found then would be what is left, and not what is there.
        """
        pyramid = self.backbone(pixels_N3HW)
        if not all(bool(level.isfinite().all()) for level in pyramid):
            raise BackendError("unidet: a feature is not finite; the weights are damaged, or try precision float32")
        proposals = self.proposal_generator(pyramid, size)
        return [
            select(self.roi_heads([level[place] for level in pyramid], boxes_R4, size))
            for place, boxes_R4 in enumerate(proposals)
        ]


def mean_scores(stages: Sequence[Stage]) -> torch.Tensor:
    """[R, K + 1]: every logit's sigmoid, averaged over the stages.

    A multiplication by a third, as in the reference: a division rounds differently.
    """
    first, second, third = (stage.logits.sigmoid() for stage in stages)
    return (first + second + third) * (1 / 3)


def select(stages: Sequence[Stage]) -> Found:
    """Every pair of box and class above the threshold, the overlapping ones of a class suppressed, at most 300.

    The background competes with no class: its column is left out. As in the reference, a row with a number that is not
    finite is dropped, and empty boxes are dropped after the 300 were counted.
    """
    boxes_R4, scores_RK = stages[-1].moved, mean_scores(stages)
    sound_R = boxes_R4.isfinite().all(dim=1) & scores_RK.isfinite().all(dim=1)
    if len(sound_R) and not sound_R.any():
        raise BackendError("unidet: no score is finite; the weights are damaged, or try precision float32")
    boxes_R4, scores_RK = boxes_R4[sound_R], scores_RK[sound_R][:, :-1]
    rows, classes = (scores_RK > THRESHOLD).nonzero(as_tuple=True)
    boxes, scores = boxes_R4[rows], scores_RK[rows, classes]
    best = suppress(boxes, scores, classes, _OVERLAP)[:_MOST]
    best = best[has_area(boxes[best])]
    return Found(boxes[best], scores[best].float(), classes[best])
