"""The two sizes in which UniDet is published, and what differs between them.

Source: the authors' `Unified_learned_OCIM_R50_6x+2x` and `Unified_learned_OCIM_RS200_6x+2x` configurations over
detectron2's defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LEVELS = ("p3", "p4", "p5", "p6", "p7")
STRIDES = (8, 16, 32, 64, 128)
"""Of the feature pyramid, in pixels of the picture as the model sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Everything about a UniDet that is not in its weights.

    Attributes:
        name: what the size is called in settings and metrics.
        trunk: a plain residual network, or one with split attention.
        blocks: of the trunk's four stages.
        width: channels inside the blocks of the first stage; each following stage has twice as many.
        normed: the pyramid's convolutions are followed by a normalisation and have no bias.
        channels: of the pyramid.
        head_convolutions: of a cascade stage, before its hidden layers.
        head_layers: hidden layers of a cascade stage, and `head_width` their width.
        classes: without the background.
        mean: subtracted from the three colour planes, in levels of 0 to 255; `deviation` then divides them.
        order: of the planes that `mean` and `deviation` were written for.
    """

    name: str
    trunk: Literal["resnet", "resnest"]
    blocks: tuple[int, int, int, int]
    width: int = 64
    normed: bool
    channels: int = 256
    head_convolutions: int
    head_layers: int
    head_width: int = 1024
    classes: int = 722
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    order: Literal["BGR", "RGB"]


R50 = Architecture(
    name="r50",
    trunk="resnet",
    blocks=(3, 4, 6, 3),
    normed=False,
    head_convolutions=0,
    head_layers=2,
    mean=(103.53, 116.28, 123.675),
    deviation=(1.0, 1.0, 1.0),
    order="BGR",
)
RS200 = Architecture(
    name="rs200",
    trunk="resnest",
    blocks=(3, 24, 36, 3),
    normed=True,
    head_convolutions=4,
    head_layers=1,
    mean=(123.68, 116.779, 103.939),
    deviation=(58.393, 57.12, 57.375),
    order="RGB",
)
ARCHITECTURES = {one.name: one for one in (R50, RS200)}
