"""Scoring arbitrary pictures from Python, in three lines.

from gotr1_eval import score_images
table = score_images(["cat.png"], ["a cat on the left of a dog"], judges=["geometric"], chains=[chain])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gotr1_eval.build import Builder, read_judge_model
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.plugins import check_offers
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.settings import read_component
from rewards.adapters.in_memory import Picture, read_pictures
from rewards.reward_set import RewardSet
from rewards.total import TOTAL

if TYPE_CHECKING:
    import pandas as pd

BATCH = 32
"""Samples between two steps of a bar."""
Pictures = Picture | Sequence[Picture] | Any
"""One picture, a list of them, or arrays and tensors, which any library may have made."""


def score_samples(samples: Sequence[Sample], judges: Sequence[Judge]) -> dict[str, list[Outcome]]:
    """Judge name -> one outcome a sample, in order.

    Raises:
        UsageError: two judges of one name, or one that lacks a field of the protocol.
    """
    named = _by_name(judges)
    rows = RewardSet(named).judge(samples)
    return {name: [row[name] for row in rows] for name in named}


def score_images(
    images: Pictures,
    prompts: str | Sequence[str],
    judges: str | Sequence[str | Judge],
    chains: str | Sequence[str | None] | None = None,
    judge_model: str | Mapping[str, Json] | None = None,
    *,
    facts: Mapping[str, Json] | Sequence[Mapping[str, Json]] | None = None,
    details: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Score pictures, and their chains where there are any.

    Args:
        images: one or a list of files, PIL pictures, arrays or tensors (uint8, or floats in [0, 1]); None where there
            is only a chain. A batch of pictures in one array counts as a list.
        prompts: one an image, or one for all of them.
        judges: what ``--judges`` takes: a reward set such as ``"panel"`` (its total is a column), a ``.toml`` file,
            or judges by name (see ``gotr1-eval list judges``); or a list of names, each with its settings
            (``"distilled,folder=judges/light"``), and live objects.
        chains: one an image, None where there is none.
        judge_model: the language-vision model of the named judges that ask one: what ``--judge-model`` takes, or
            settings such as ``{"use": "qwen", "model": ...}``.
        facts: what a benchmark's judge needs to know of a prompt, such as ``{"geneval": {...}}``; one an image, or one
            for all of them.
        details: also columns of parts, ``<name>/<part>``, and of what there is to say, ``<name>/note``: the judge's
            note, or why there is no score.
        progress: show a bar.

    Returns:
        A row an image: prompt, image (its name; empty for one in memory), and for each judge its value under its name
        (NaN where it is unscored) and the reason under ``<name>/why`` (empty where it is scored).

    Raises:
        UsageError: unequal lengths, what is no picture, an unknown judge, a judge that asks a model where none is
            given, or a model that no named judge asks.
    """
    pictures = _pictures(images)
    many = len(pictures)
    samples = [
        Sample(id=str(index), prompt=prompt, chain=chain, image=picture, meta=dict(meta))
        for index, (picture, prompt, chain, meta) in enumerate(
            zip(
                pictures,
                _one_each("prompts", prompts, many),
                _one_each("chains", chains, many),
                _one_each("facts", facts if facts is not None else {}, many),
                strict=True,
            )
        )
    ]
    rewards = _reward_set(judges, judge_model)
    return _frame(samples, rewards, list(_judged(rewards, samples, progress=progress)), details=details)


def _pictures(images: Pictures) -> list[Path | Image.Image | None]:
    """The pictures, also of one that stands alone."""
    alone = images is None or isinstance(images, str | Path | Image.Image) or getattr(images, "ndim", 4) < 4
    found = read_pictures([images] if alone else images)
    return [Path(picture) if isinstance(picture, str) else picture for picture in found]


def _one_each(name: str, given: object, many: int) -> list[Any]:
    """As many values as there are pictures, of one for all of them or of one for each.

    Raises:
        UsageError: another number of them.
    """
    if given is None or isinstance(given, str | Mapping):
        return [given] * many
    found = list(given) if isinstance(given, Iterable) else []
    if len(found) != many:
        raise UsageError(f"{name}: needed one a picture, got {len(found)} for {many}")
    return found


def _reward_set(judges: str | Sequence[str | Judge], judge_model: str | Mapping[str, Json] | None) -> RewardSet:
    """The judges, by their names, and the total of a set; a set's factors keep their names for its total alone."""
    builder = Builder()
    model = read_judge_model(judge_model) if isinstance(judge_model, str) else judge_model
    if isinstance(judges, str):
        return builder.reward_set(judges, model)
    named = _by_name(_live_judges(builder, judges, model))
    if not named:
        raise UsageError("every judge must be asked once, got none")
    return RewardSet(named)


def _by_name(judges: Sequence[Judge]) -> dict[str, Judge]:
    """The judges by their names.

    Raises:
        UsageError: two of one name, or one that lacks a field of the protocol.
    """
    for judge in judges:
        check_offers(judge, Judge, f"judge {type(judge).__name__}")
    names = [judge.name for judge in judges]
    if len(set(names)) < len(names):
        raise UsageError(f"every judge must be asked once, got {', '.join(names)}")
    return dict(zip(names, judges, strict=True))


def _judged(rewards: RewardSet, samples: Sequence[Sample], *, progress: bool) -> Iterator[Mapping[str, Outcome]]:
    """The outcomes of every sample, a batch at a time."""
    if not progress:
        yield from rewards.judge(samples)
        return
    from rich.progress import track

    for start in track(range(0, len(samples), BATCH), description="judge"):
        yield from rewards.judge(samples[start : start + BATCH])


def _frame(
    samples: Sequence[Sample], rewards: RewardSet, rows: Sequence[Mapping[str, Outcome]], *, details: bool
) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "prompt": [sample.prompt for sample in samples],
        "image": [str(sample.image) if isinstance(sample.image, Path) else None for sample in samples],
    }
    names = {factor: judge.name for factor, judge in rewards.judges.items()}
    if rewards.total is not None:
        names[TOTAL] = rewards.total.name
    for factor, name in names.items():
        outcomes = [row[factor] for row in rows]
        columns[name] = [outcome.value if isinstance(outcome, Score) else float("nan") for outcome in outcomes]
        columns[f"{name}/why"] = ["" if isinstance(outcome, Score) else outcome.why.value for outcome in outcomes]
        if details:
            scored = [outcome if isinstance(outcome, Score) else None for outcome in outcomes]
            for part in dict.fromkeys(part for outcome in scored if outcome for part in outcome.parts):
                columns[f"{name}/{part}"] = [
                    outcome.parts.get(part, float("nan")) if outcome else float("nan") for outcome in scored
                ]
            columns[f"{name}/note"] = [
                outcome.note if isinstance(outcome, Score) else outcome.detail for outcome in outcomes
            ]
    return pd.DataFrame(columns)


def _live_judges(builder: Builder, judges: Sequence[str | Judge], model: Mapping[str, Json] | None) -> list[Judge]:
    named = {name: read_component(name, "judges") for name in judges if isinstance(name, str)}
    specs = {name: builder.with_model(spec, model) for name, spec in named.items()}
    if model is not None and specs == named:
        raise UsageError("judge_model: none of the named judges asks a model")
    return [builder.judge(specs[judge]) if isinstance(judge, str) else judge for judge in judges]
