"""UniDet (arXiv 2102.13086), T2I-CompBench's detector of 722 classes, with the official weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gotr1_eval.core.official_files import official_file, require_file
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.models.detectors.unidet.detector import Files, UniDetDetector
from gotr1_eval.models.detectors.unidet.preprocessing import Semantics
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Which UniDet, and how it is run.

    Attributes:
        size: `rs200` is T2I-CompBench's detector for 2D-spatial and complex prompts, `r50` for 3D-spatial and numeracy.
        weights: the published ``.pth`` file; None looks for it, by its name, in the folder of `gotr1-eval weights`.
        labels: T2I-CompBench's ``detection_features.pt``, or a ``.json`` list of the 722 names; None looks there too.
        semantics: `reference` shows RS200 swapped colours, as the official scripts do; `corrected` the right ones.
        precision: `float16` is the official scripts' mixed precision, on a GPU only.
        device: `auto` is the first GPU if there is one.
        batch_size: pictures of one size in a forward pass; halved for the call when memory runs out.
    """

    size: Literal["rs200", "r50"] = "rs200"
    weights: str | None = None
    labels: str | None = None
    semantics: Semantics = "reference"
    precision: Literal["float32", "float16"] = "float32"
    device: str = "auto"
    batch_size: int = Field(8, ge=1)


def build(settings: Settings, workshop: Workshop) -> UniDetDetector:
    """The detector; needs nothing from the workshop.

    Raises:
        UsageError: a file is missing, or the device cannot do what is asked.
    """
    files = Files(
        weights=require_file(official_file(f"unidet-{settings.size}"), "unidet weights", settings.weights),
        labels=require_file(official_file("unidet-labels"), "unidet labels", settings.labels),
    )
    return UniDetDetector(
        settings.size,
        files,
        semantics=settings.semantics,
        half=settings.precision == "float16",
        device=settings.device,
        batch_size=settings.batch_size,
    )
