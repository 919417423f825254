"""UniDet, T2I-CompBench's detector: 722 classes, the official weights, in plain torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.settings import Settings as StrictSettings

if TYPE_CHECKING:
    from gotr1_eval.models.detectors.unidet.detector import UniDetDetector


class Settings(StrictSettings):
    """Which weights, and how pictures are prepared.

    Attributes:
        weights: the authors' .pth file, `Unified_learned_OCIM_R50_6x+2x.pth` or `Unified_learned_OCIM_RS200_6x+2x.pth`;
            None looks for it under that name in the folder of `gotr1-eval weights`.
        labels: `detection_features.pt` of T2I-CompBench's repository, or a .json list of the 722 names; None likewise.
        size: rs200 for 2D-spatial, r50 for 3D-spatial and numeracy.
        semantics: `reference` shows RS200 red as blue, as the official scripts do; `corrected` does not.
        precision: float16 is the scripts' own, and needs a GPU.
        device: `auto` is the first GPU if there is one.
        batch_size: pictures of equal size in one forward pass; halved for the call when memory runs out.
    """

    weights: Path | None = None
    labels: Path | None = None
    size: Literal["r50", "rs200"] = "rs200"
    semantics: Literal["reference", "corrected"] = "reference"
    precision: Literal["float32", "float16"] = "float32"
    device: str = "auto"
    batch_size: int = Field(8, ge=1)


def build(settings: Settings, workshop: Workshop) -> UniDetDetector:
    """The detector; its files are read when it is first needed.

    Raises:
        UsageError: a file does not exist, or the device cannot do what is asked.
    """
    from gotr1_eval.models.detectors.unidet.detector import Files, UniDetDetector

    weights = require_file(official_file(f"unidet-{settings.size}"), "unidet: the weights", settings.weights)
    labels = require_file(official_file("unidet-labels"), "unidet: the names of the classes", settings.labels)
    return UniDetDetector(
        settings.size,
        Files(weights, labels),
        semantics=settings.semantics,
        half=settings.precision == "float16",
        device=settings.device,
        batch_size=settings.batch_size,
    )
