"""Examines models before a long run stands on them: bundled drawings with known answers, and the answers' own form.

    pen, things     how everyday things are drawn, by code alone
    drawings        scenes with known boxes and captions; rooms: with known depth
    checks          what an examination is, and what is checked of every kind of model
    detectors ...   one file for each kind
    official        the official detectors' files, examined for a report that can be sent back
    environment     versions, extras, weights of this machine

What drawings prove, and what not: a model that fails them does not see, whatever its scores say later. One that passes
sees, which random weights and broken operators do not; how well it sees photographs follows from nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.doctor.checks import Examination, examine
from benchmarks.doctor.depth import depth_checks
from benchmarks.doctor.detectors import detector_checks
from benchmarks.doctor.encoders import encoder_checks
from benchmarks.doctor.ocr import ocr_checks
from benchmarks.doctor.phrases import phrase_checks
from benchmarks.doctor.yes_no import asked_checks, yes_no_checks
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json

Spec = Mapping[str, Json]

_EXAMINERS: Mapping[str, Callable[[Workshop, Spec], Examination]] = {
    "detector": lambda shop, spec: examine("detector", _asked(spec), lambda: shop.detector(spec), detector_checks),
    "encoder": lambda shop, spec: examine("encoder", _asked(spec), lambda: shop.encoder(spec), encoder_checks),
    "yes_no": lambda shop, spec: examine("yes-no", _asked(spec), lambda: shop.yes_no(spec), yes_no_checks),
    "depth": lambda shop, spec: examine("depth", _asked(spec), lambda: shop.depth(spec), depth_checks),
    "phrases": lambda shop, spec: examine("phrases", _asked(spec), lambda: shop.phrases(spec), phrase_checks),
    "vlm": lambda shop, spec: examine("language-vision", _asked(spec), lambda: shop.vlm(spec), asked_checks),
    "ocr": lambda shop, spec: examine("ocr", _asked(spec), lambda: shop.ocr(spec), ocr_checks),
}
KINDS = tuple(_EXAMINERS)


def examine_model(workshop: Workshop, kind: str, spec: Spec) -> Examination:
    """Examine the model that ``{"use": name, ...}`` describes; `kind` is one of `KINDS`.

    A model that cannot be built or crashes is an examination that failed, never an exception.
    """
    return _EXAMINERS[kind](workshop, spec)


def _asked(spec: Spec) -> str:
    """The model as it was asked for: the plug-in, and which of several."""
    which = [Path(str(spec[key])).name for key in ("size", "model", "weights") if key in spec]
    return ",".join([str(spec["use"]), *which])
