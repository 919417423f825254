"""The report card as files of the run folder: audit.json, and one HTML page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.audit.card import GRADES, Card, PartResult, card_json
from benchmarks.audit.trust import trust
from gotr1_eval.core.types import Json
from gotr1_eval.files.writing import write_atomically
from reports.shell import render


def write_card(cards: Sequence[Card], folder: Path, *, size: str, seed: int) -> Path:
    """Write audit.json and audit.html, and return where the page is."""
    content = {"size": size, "seed": seed, "cards": cards_json(cards)}
    write_atomically(folder / "audit.json", json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    path = folder / "audit.html"
    write_atomically(path, render_card(cards, size=size, seed=seed))
    return path


def cards_json(cards: Sequence[Card]) -> list[dict[str, Json]]:
    """The cards, each with what it says of training."""
    return [row | {"training": trust(card).json()} for card, row in zip(cards, card_json(cards), strict=True)]


def render_card(cards: Sequence[Card], *, size: str, seed: int) -> str:
    """The page's HTML; names of judges are escaped, and the page may load nothing."""
    return render(
        "card.html",
        styles=("card.css",),
        package="benchmarks.audit",
        title="Report card",
        cards=cards,
        rows=list(zip(*(card.parts for card in cards), strict=True)),
        size=size,
        seed=seed,
        grades=GRADES,
        measure_lines=measure_lines,
        trust=trust,
    )


def measure_lines(part: PartResult) -> list[str]:
    """What was measured beside the grades, in words; every number with its count."""
    measures: Mapping[str, Any] = part.measures
    if part.name == "spatial" and measures.get("n"):
        return list(_spatial_lines(measures))
    if part.name == "grounding" and measures.get("n"):
        return list(_grounding_lines(measures))
    return []


def _spatial_lines(measures: Mapping[str, Any]) -> list[str]:
    lines = [_spatial_line("as the judge asks", measures)]
    if other := measures.get("other_form"):
        form = "from written coordinates" if other["form"] == "text" else "from drawn boxes"
        lines.append(_spatial_line(form, other))
    if (claim := measures.get("drawn_against_written")) and claim["n"]:
        interval = "" if claim["low"] is None else f" [{claim['low']:+.3f}, {claim['high']:+.3f}]"
        difference = f"{claim['drawn_minus_written']:+.3f}{interval}"
        lines.append(f"accuracy from drawn boxes minus from written coordinates: {difference} (n={claim['n']})")
    return lines


def _spatial_line(form: str, measures: Mapping[str, Any]) -> str:
    if not measures.get("n"):
        return f"{form}: nothing scored"
    return (
        f"{form}: accuracy {_number(measures['accuracy'])}, ROC area {_number(measures['auc'])}, Brier "
        f"{_number(measures['brier'])}, calibration error {_number(measures['calibration_error'])} (n={measures['n']})"
    )


def _grounding_lines(measures: Mapping[str, Any]) -> list[str]:
    lines = [
        f"mean IoU {_number(measures['iou'])}, objects not found {_number(measures['missed'])} (n={measures['n']})",
        f"absent objects found all the same: {_number(measures['phantoms'])} (n={measures['phantoms_n']})",
    ]
    if frames := measures["frames"]:
        fits = ", ".join(f"{name} {_number(fit)}" for name, fit in frames.items())
        best = max(frames, key=lambda name: frames[name])
        lines.append(f"raw answers read in other frames, mean IoU: {fits}; {best} fits best")
    return lines


def _number(value: Json) -> str:
    return "-" if not isinstance(value, int | float) else f"{value:.3f}"
