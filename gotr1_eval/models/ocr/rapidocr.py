"""RapidOCR: PP-OCRv6 (small) through onnxruntime, with the trained weights that the package holds. Extra `ocr`.

PaddlePaddle's OCR of another generation than the PaddleOCR that published rewards were made with, hence another name.
No network is asked: detector, recogniser and angle classifier are files of the installed package.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import MissingWeightsError, UsageError
from gotr1_eval.core.extras import install_hint
from gotr1_eval.core.outcome import Unscored
from gotr1_eval.core.perception import TextLine, Transcript
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import AskedCalls, Box
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import files_digest
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
PACKAGE = "rapidocr"
LEAST = "3.10"
"""The package's first release with PP-OCRv6; the older `rapidocr-onnxruntime` joins words."""
USUAL_SCORE = 0.5
"""Below it the package leaves lines out, where nothing else is said."""


class Settings(StrictSettings):
    """How it reads.

    Attributes:
        least_score: lines of a lower score are left out; 0.5 is the package's own, 0 keeps every line.
        turn: whether lines that stand upside down are turned before they are read.
        threads: of onnxruntime.
    """

    least_score: float = Field(USUAL_SCORE, ge=0, le=1)
    turn: bool = True
    threads: int = Field(1, ge=1)


class RapidOcr:
    """An `Ocr` (see `gotr1_eval.core.perception`); its networks are read when they are first needed."""

    model_calls = 0
    asks = AskedCalls()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        """``rapidocr pp-ocrv6-small``, with settings that are not the package's own."""
        settings = self._settings
        least = "" if settings.least_score == USUAL_SCORE else f" above {settings.least_score:g}"
        return f"rapidocr pp-ocrv6-small{least}{'' if settings.turn else ' upright'}"

    @cached_property
    def fingerprint(self) -> str:
        """Of the package's version, its weights and the settings; raises UsageError where it is not installed."""
        settings = self._settings
        return identifiers.fingerprint(
            {
                "ocr": "rapidocr", "version": VERSION, "package": _require_package(),
                "weights": files_digest(sorted((_folder() / "models").glob("*.onnx"))),
                "least_score": settings.least_score, "turn": settings.turn,
            }
        )  # fmt: skip

    @cached_property
    def _engine(self) -> Any:  # noqa: ANN401 - untyped
        _require_package()
        from rapidocr import RapidOCR

        threads = self._settings.threads
        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": threads,
            }
        )

    def read(self, images: Sequence[Image.Image]) -> list[Transcript | Unscored]:
        """One transcript a picture, line by line from top to bottom; empty where no text was found."""
        return [self._read(image) for image in images]

    def _read(self, image: Image.Image) -> Transcript:
        settings = self._settings
        bgr = np.asarray(to_rgb(image))[:, :, ::-1]
        found = self._engine(bgr, use_cls=settings.turn, text_score=settings.least_score)
        if not found.txts:
            return Transcript(())
        lines = zip(found.txts, found.scores, found.boxes, strict=True)
        return Transcript(tuple(TextLine(text, float(score), _box(quad, image.size)) for text, score, quad in lines))


def _box(quad: Any, size: tuple[int, int]) -> Box:  # noqa: ANN401 - an array of four corners
    """The upright box around four corners in pixels."""
    corners = np.asarray(quad, dtype=np.float64) / np.asarray(size)
    return Box.clipped(*corners.min(axis=0), *corners.max(axis=0))


def _require_package() -> str:
    """The version that is installed, weights and all; raises UsageError where there is none, or an older one."""
    if find_spec(PACKAGE) is None or find_spec("onnxruntime") is None:
        raise MissingWeightsError(f"ocr 'rapidocr' is not installed; {install_hint('ocr')}")
    version = metadata.version(PACKAGE)
    if [int(part) for part in version.split(".")[:2]] < [int(part) for part in LEAST.split(".")]:
        raise UsageError(
            f"ocr 'rapidocr': expected version {LEAST} or newer, got {version}; pip install 'rapidocr>={LEAST}'"
        )
    return version


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent if spec and spec.origin else Path()


def build(settings: Settings, workshop: Workshop) -> RapidOcr:
    """The reader; needs nothing from the workshop."""
    return RapidOcr(settings)
