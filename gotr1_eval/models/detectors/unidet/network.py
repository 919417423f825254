"""UniDet (arXiv 2102.13086) as a network, read from the published checkpoints: prepared pictures to boxes and classes.

Shapes: N pictures of equal size, C channels, L cells of a level times anchors a cell, K candidates of a level (in the
region proposal network) or classes, R proposals, D detections of one picture. Source of the proposals: detectron2
`modeling/proposal_generator/rpn.py`, `proposal_utils.py`, `modeling/anchor_generator.py`.

Every tensor of a file is accounted for. No published file was at hand when this was written: that the tensors lie under
"model" or stand alone, and which others come with them, is inferred from detectron2's checkpointer. The tensors' names
and shapes are those of the network itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import relu

from gotr1_eval.core.errors import BackendError, DataError
from gotr1_eval.models.checkpoint import in_words, load_torch, shape_faults
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES, STRIDES, Architecture
from gotr1_eval.models.detectors.unidet.backbone import Pyramid
from gotr1_eval.models.detectors.unidet.boxes import clip_boxes, has_area, move_boxes, suppress
from gotr1_eval.models.detectors.unidet.cascade import Cascade, Stage

_SIDES = (32, 64, 128, 256, 512)
"""Of a level's anchors, in pixels; each also comes a third and two thirds of an octave larger."""
_RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""
ANCHORS = 3 * len(_RATIOS)
_UNWEIGHTED = (1.0, 1.0, 1.0, 1.0)
_CANDIDATES = 1000
"""Of a level before suppression, and of a picture after it."""
_PROPOSALS_OVERLAP = 0.7
THRESHOLD = 0.1
"""T2I-CompBench's copy of UniDet has this number in place of the configured one; 0.5 in its scripts has no effect."""
_OVERLAP = 0.5
_MOST = 300
Tensors = dict[str, torch.Tensor]
_CONSTANTS = re.compile(r"pixel_(mean|std)|proposal_generator\.anchor_generator\.cell_anchors\.\d+")
"""Written by the detectron2 of 2021; their values follow from the configuration."""
_COUNTER = ".num_batches_tracked"
_STEMS = {"backbone.bottom_up.stem.conv1.weight": "r50", "backbone.bottom_up.stem.conv1_1.weight": "rs200"}


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
    return boxes_K4[suppress(boxes_K4, logits_K, levels_K, _PROPOSALS_OVERLAP)[:_CANDIDATES]]


@dataclass(frozen=True, slots=True)
class Predictions:
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

    def forward(self, pixels_N3HW: torch.Tensor, size: tuple[int, int]) -> list[Predictions]:
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


def select(stages: Sequence[Stage]) -> Predictions:
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
    return Predictions(boxes[best], scores[best].float(), classes[best])


def load_unidet(path: Path, architecture: Architecture) -> UniDet:
    """The network on the CPU in float32, in evaluation mode.

    Raises:
        DataError: the file is damaged, is of another model or size, or a tensor is missing, surplus or misshapen.
    """
    tensors = read_tensors(path)
    with torch.device("meta"):
        network = UniDet(architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors = drop_ignored(tensors, expected)
    whole = [name for name in expected.keys() & tensors.keys() if not tensors[name].is_floating_point()]
    if faults := in_words({**shape_faults(expected, tensors), "not of floating-point numbers": whole}):
        raise DataError(
            f"expected the weights of UniDet {architecture.name}: {faults}{_other_size(tensors)}", path=path
        )
    copies = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
    network.load_state_dict(copies, assign=True)
    return network.requires_grad_(False).eval()


def read_tensors(path: Path) -> Tensors:
    """The tensors of a .pth file by name, without `module.` in front.

    Raises:
        DataError: the file cannot be read, holds code, or holds something else.
    """
    content = load_torch(path)
    tensors = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise DataError("expected tensors by name, or those under 'model'", path=path)
    return {str(name).removeprefix("module."): tensor for name, tensor in tensors.items()}


def drop_ignored(tensors: Mapping[str, torch.Tensor], expected: Iterable[str]) -> Tensors:
    """Without the constants and without training's counters of the normalisations that exist."""
    counters = {name.removesuffix(".running_var") + _COUNTER for name in expected if name.endswith(".running_var")}
    return {name: tensor for name, tensor in tensors.items() if name not in counters and not _CONSTANTS.fullmatch(name)}


def _other_size(tensors: Tensors) -> str:
    """A hint when the tensors are those of the other size."""
    found = [size for stem, size in _STEMS.items() if stem in tensors]
    return f"; it looks like {found[0]} (known: {', '.join(ARCHITECTURES)})" if len(found) == 1 else ""
