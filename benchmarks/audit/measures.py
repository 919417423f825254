"""What is measured beside the grades: accuracy by axis, ROC area, calibration; IoU, misses, coordinate frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from benchmarks.audit import grounding
from benchmarks.audit.layouts import AXES
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.intervals import prompt_bootstrap
from gotr1_eval.core.statistics.ranks import roc_area
from gotr1_eval.core.types import Json

BINS = 10
"""Of equal width, for the calibration error."""

Cases = Sequence[tuple[Mapping[str, Outcome], Mapping[str, Json]]]
"""(outcomes by role, facts) of every case of a part."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One scored plan whose relation is true or false."""

    value: float
    holds: bool
    right: bool
    facts: Mapping[str, Json]
    case: int


def spatial_measures(cases: Cases, verdict: float) -> dict[str, Json]:
    """Accuracy (also by axis), ROC area, Brier score and calibration error of the true and false plans.

    Values are taken as chances that the relation holds, which is what calibration means here; ambiguous plans are
    left out. An area needs scored plans of both kinds; it is None without.
    """
    scored = _verdicts(cases, verdict)
    if not scored:
        return {"n": 0}
    by_axis: dict[str, Json] = {}
    for axis, steps in AXES.items():
        for value in steps:
            rights = [one.right for one in scored if one.facts[axis] == value]
            by_axis[f"{axis}: {value}"] = {"accuracy": _mean(rights), "n": len(rights)}
    values = np.array([one.value for one in scored])
    holds = np.array([one.holds for one in scored], dtype=np.float64)
    return {
        "n": len(scored),
        "accuracy": _mean([one.right for one in scored]),
        "auc": roc_area(values[holds == 1], values[holds == 0]),
        "brier": float(np.mean((values - holds) ** 2)),
        "calibration_error": calibration_error(values, holds),
        "by_axis": by_axis,
    }


def drawn_and_written(drawn: Cases, written: Cases, verdict: float) -> dict[str, Json]:
    """Accuracy from drawn boxes minus that from written coordinates, over the plans that both scored, with interval."""
    one, other = _verdicts(drawn, verdict), _verdicts(written, verdict)
    first = {(entry.case, entry.holds): entry.right for entry in one}
    second = {(entry.case, entry.holds): entry.right for entry in other}
    shared = [key for key in first if key in second]
    groups: dict[int, list[float]] = {}
    for key in shared:
        groups.setdefault(key[0], []).append(float(first[key]) - float(second[key]))
    low, high = prompt_bootstrap(list(groups.values()))
    difference = _mean([value for group in groups.values() for value in group])
    return {"n": len(shared), "drawn_minus_written": difference, "low": low, "high": high}


def grounding_measures(cases: Cases) -> dict[str, Json]:
    """Mean IoU and misses of true plans, share of phantoms, and the frame that fits the raw answers best."""
    planned = [
        grounding.measure({"planned": outcome})
        for outcomes, _ in cases
        if isinstance(outcome := outcomes.get("planned"), Score)
    ]
    missed = [entry["missed"] for entry in planned if "missed" in entry]
    absent = [(o, facts) for outcomes, facts in cases if isinstance(o := outcomes.get("absent"), Score)]
    phantoms = [any(seen.label == facts["absent"] for seen in outcome.seen) for outcome, facts in absent]
    return {
        "n": len(planned),
        "iou": _mean([entry["IoU"] for entry in planned]),
        "missed": _mean(missed),
        "phantoms": _mean(phantoms),
        "phantoms_n": len(phantoms),
        "frames": _frames(cases),
    }


def calibration_error(values: np.ndarray, holds: np.ndarray) -> float:
    """Expected calibration error: mean gap between value and share of true plans, over bins of equal width."""
    places = np.minimum((values * BINS).astype(int), BINS - 1)
    gaps = [
        float((places == place).mean()) * abs(float(values[places == place].mean() - holds[places == place].mean()))
        for place in range(BINS)
        if bool((places == place).any())
    ]
    return math.fsum(gaps)


def _verdicts(cases: Cases, verdict: float) -> list[_Verdict]:
    return [
        _Verdict(outcome.value, holds, (outcome.value >= verdict) is holds, facts, index)
        for index, (outcomes, facts) in enumerate(cases)
        for role, holds in (("true", True), ("false", False))
        if isinstance(outcome := outcomes.get(role), Score)
    ]


def _frames(cases: Cases) -> dict[str, Json]:
    """Mean IoU by frame over the composed pictures, also where the judge could not read the answers."""
    found: dict[str, list[float]] = {}
    for outcomes, facts in cases:
        if (outcome := outcomes.get("composed")) is not None:
            for frame, fit in grounding.frame_fits(outcome.replies, facts).items():
                found.setdefault(frame, []).append(fit)
    return cast(dict[str, Json], {frame: _mean(fits) for frame, fits in found.items()})


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
