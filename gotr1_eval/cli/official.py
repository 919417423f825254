"""Options of official scoring, and the judges that they name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json

if TYPE_CHECKING:
    from benchmarks.semantics import Semantics
    from gotr1_eval.build import Builder
    from gotr1_eval.core.protocols import Judge
    from rewards.reward_set import RewardSet

_FORM = "by name, or name,setting=value,..."
Detector = Annotated[str | None, typer.Option(help=f"Detector of the official metrics, {_FORM}")]
Detections = Annotated[
    Path | None, typer.Option(help="JSONL of detections made elsewhere, instead of --detector; see docs/metrics.md.")
]
YesNoModel = Annotated[str | None, typer.Option("--yes-no", help=f"Model that answers about phrases, {_FORM}")]
EncoderModel = Annotated[str | None, typer.Option("--encoder", help=f"Encoder of pictures and texts, {_FORM}")]
DepthModel = Annotated[str | None, typer.Option("--depth", help=f"Depth model of 3d_spatial, {_FORM}")]
PhraseSource = Annotated[str, typer.Option("--phrases", help=f"Source of noun phrases, {_FORM}")]
SemanticsOption = Annotated[str, typer.Option("--semantics", help="reference (bug for bug) or corrected.")]

METRICS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "blip_vqa": ("official_attribute", ("color", "shape", "texture"), ("yes_no",)),
    "spatial_2d": ("official_spatial", ("spatial",), ("detector",)),
    "spatial_3d": ("official_3d_spatial", ("3d_spatial",), ("detector", "depth")),
    "non_spatial": ("official_non_spatial", ("non_spatial",), ("encoder",)),
    "numeracy": ("official_numeracy", ("numeracy",), ("detector",)),
    "three_in_one": ("official_complex", ("complex",), ("yes_no", "detector", "encoder")),
}
"""Judge -> (its column, its categories, the models it needs)."""
WITHOUT_PHRASES = ("non_spatial",)
WITH_DATA = ("numeracy", "three_in_one")


def component_spec(text: str, option: str) -> dict[str, Json]:
    """The plug-in that an option describes: ``clip`` or ``clip,model=/weights/clip,device=cuda``.

    Raises:
        UsageError: a part is no ``setting=value``.
    """
    name, *parts = text.split(",")
    spec: dict[str, Json] = {"use": name.strip()}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (equals and key.strip()):
            raise UsageError(f"{option} {text}: expected name,setting=value,... and got {part!r}")
        spec[key.strip()] = _value(value)
    return spec


def _value(text: str) -> Json:
    """Numbers and truth values as such, everything else as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialModels:
    """The models that the options name, by the judges' settings; and whose semantics."""

    models: Mapping[str, dict[str, Json]]
    phrases: dict[str, Json]
    semantics: Semantics


def read_models(
    *,
    detector: str | None,
    detections: Path | None,
    encoder: str | None,
    semantics: str,
    yes_no: str | None = None,
    depth: str | None = None,
    phrases: str = "builtin",
) -> OfficialModels:
    """What the options say.

    Raises:
        UsageError: both --detector and --detections, or unknown semantics.
    """
    if detector is not None and detections is not None:
        raise UsageError("give either --detector (look at the pictures) or --detections (a file says what was seen)")
    if semantics not in ("reference", "corrected"):
        raise UsageError(f"--semantics {semantics}: expected reference or corrected")
    given = {"detector": detector, "yes_no": yes_no, "encoder": encoder, "depth": depth}
    models = {
        name: component_spec(text, f"--{name.replace('_', '-')}") for name, text in given.items() if text is not None
    }
    if detections is not None:
        models["detector"] = {"use": "precomputed", "path": str(detections)}
    chosen: Semantics = "reference" if semantics == "reference" else "corrected"
    return OfficialModels(models=models, phrases=component_spec(phrases, "--phrases"), semantics=chosen)


def compbench_judges(
    builder: Builder, wanted: OfficialModels, categories: Sequence[str], data: Path | None
) -> tuple[dict[str, Judge], list[str]]:
    """The judges of these categories by column, and one line for each category that lacks a model."""
    judges: dict[str, Judge] = {}
    lines = []
    for name, (column, of, needs) in METRICS.items():
        mine = [category for category in of if category in categories]
        absent = [f"--{need.replace('_', '-')}" for need in needs if need not in wanted.models]
        if mine and absent:
            lines.append(f"{', '.join(mine)}: no official score without {' and '.join(absent)}")
        elif mine:
            spec: dict[str, Json] = {"use": name, "semantics": wanted.semantics}
            spec |= {need: wanted.models[need] for need in needs}
            spec |= {} if name in WITHOUT_PHRASES else {"phrases": wanted.phrases}
            spec |= {"data": str(data)} if name in WITH_DATA and data is not None else {}
            judges[column] = builder.judge(spec)
    return judges, lines


def with_official(judges: Mapping[str, Judge], rewards: RewardSet | None) -> RewardSet:
    """The official judges, and beside them those of a reward set with its total."""
    from rewards.reward_set import RewardSet

    if rewards is None:
        return RewardSet(dict(judges))
    return RewardSet({**judges, **rewards.judges}, rewards.total)
