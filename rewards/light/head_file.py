"""A distilled judge's folder: `head.json` holds all that it needs, as plain numbers.

{"format": 1, "source": {...}, "features": {...}, "head": {...}, "folds": [...], "line": [slope, offset],
 "training": {...}, "validation": {...}, "trust": {...} or null, "untrusted": false}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.statistics.heads import Head
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Json
from gotr1_eval.files.writing import write_atomically
from rewards.light.features import Kind

FORMAT = 1
FILE = "head.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A fitted head, and what it was fitted on.

    Attributes:
        source: name of the judge that it imitates.
        source_fingerprint: of that judge.
        range: of that judge; the head's values are cut off there.
        looks_at: what of a sample the features are about.
        features: their settings, ``{"use": ...}``.
        features_fingerprint: of the features that it was fitted on.
        head: fitted on all rows.
        folds: those of the cross-validation; their spread on a sample says how unsure the head is.
        line: (slope, offset) that puts its raw value on the source's scale.
        training: the training set: runs, number of samples and prompts, digest of ids, features and scores.
        validation: what it reaches on held-out prompts.
        trust: what its audit says of training against it, with the fingerprint of the head that was audited.
        untrusted: whoever distilled it accepts a failed audit; its name then says so.
    """

    source: str
    source_fingerprint: str
    range: tuple[float, float]
    looks_at: Kind
    features: Mapping[str, Json]
    features_name: str
    features_fingerprint: str
    head: Head
    folds: tuple[Head, ...]
    line: tuple[float, float]
    training: Mapping[str, Json]
    validation: Mapping[str, Json] = field(default_factory=dict)
    trust: Mapping[str, Json] | None = None
    untrusted: bool = False

    def raw(self, features: Floats) -> Floats:
        """[rows] on the source's scale, not cut off."""
        return self._scaled(self.head(features))

    def spread(self, features: Floats) -> Floats:
        """[rows]: the standard deviation of the folds' heads, on the source's scale."""
        found: Floats = np.std([self._scaled(head(features)) for head in self.folds], axis=0)
        return found

    def _scaled(self, values: Floats) -> Floats:
        slope, offset = self.line
        return slope * values + offset

    @property
    def fingerprint(self) -> str:
        """Of everything that decides a score."""
        heads: list[Json] = [_written(head) for head in (self.head, *self.folds)]
        line, ends = list(self.line), list(self.range)
        return fingerprint({"heads": heads, "line": [*line], "range": [*ends], "features": self.features_fingerprint})


def write_head(distilled: Distilled, folder: Path) -> None:
    """Write the folder's file.

    Raises:
        RunError: it cannot be written.
    """
    content = {
        "format": FORMAT,
        "source": {
            "judge": distilled.source,
            "fingerprint": distilled.source_fingerprint,
            "range": list(distilled.range),
            "looks_at": distilled.looks_at,
        },
        "features": {
            "settings": dict(distilled.features),
            "name": distilled.features_name,
            "fingerprint": distilled.features_fingerprint,
        },
        "head": _written(distilled.head),
        "folds": [_written(head) for head in distilled.folds],
        "line": list(distilled.line),
        "training": dict(distilled.training),
        "validation": dict(distilled.validation),
        "trust": None if distilled.trust is None else dict(distilled.trust),
        "untrusted": distilled.untrusted,
    }
    write_atomically(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _written(head: Head) -> dict[str, Json]:
    return {"kind": head.kind, "weights": head.weights.tolist(), "offset": head.offset}


def read_head(folder: Path) -> Distilled:
    """The judge that a folder holds.

    Raises:
        DataError: it holds none.
    """
    path = folder / FILE
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(
            f"not a distilled judge: {error.strerror}; make one with gotr1-eval distil", path=path
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a distilled judge ({one_line(error)})", path=path) from None


def _read(content: Mapping[str, Any]) -> Distilled:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, this version reads {FORMAT}")
    source, features = content["source"], content["features"]
    (low, high), (slope, offset) = source["range"], content["line"]
    if source["looks_at"] not in ("picture", "plan"):
        raise ValueError(f"looks_at {source['looks_at']!r}, expected picture or plan")
    head, folds = _head(content["head"]), tuple(map(_head, content["folds"]))
    if not folds or any(fold.weights.shape != head.weights.shape for fold in folds):
        raise ValueError("its heads are of different widths, or the folds' are missing")
    numbers = np.array([low, high, slope, offset], dtype=float)
    if not np.isfinite(numbers).all() or not low < high:
        raise ValueError("its range or its line is no two finite numbers")
    return Distilled(
        source=str(source["judge"]),
        source_fingerprint=str(source["fingerprint"]),
        range=(float(low), float(high)),
        looks_at=source["looks_at"],
        features=dict(features["settings"]),
        features_name=str(features["name"]),
        features_fingerprint=str(features["fingerprint"]),
        head=head,
        folds=folds,
        line=(float(slope), float(offset)),
        training=dict(content["training"]),
        validation=dict(content["validation"]),
        trust=None if content["trust"] is None else dict(content["trust"]),
        untrusted=bool(content["untrusted"]),
    )


def _head(content: Mapping[str, Any]) -> Head:
    if content["kind"] not in ("ridge", "logistic"):
        raise ValueError(f"a head of kind {content['kind']!r}, expected ridge or logistic")
    weights = np.array(content["weights"], dtype=np.float64)
    if weights.ndim != 1 or not np.isfinite(weights).all() or not np.isfinite(content["offset"]):
        raise ValueError("a head whose weights are no list of finite numbers")
    return Head(content["kind"], weights, float(content["offset"]))
