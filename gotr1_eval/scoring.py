"""Scoring arbitrary pictures from Python, in three lines.

from gotr1_eval import score_images
table = score_images(["cat.png"], ["a cat on the left of a dog"], judges=["geometric"], chains=[chain])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotr1_eval.build import Builder, read_judge_model
from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.plugins import check_offers
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Json, Sample
from rewards.reward_set import RewardSet

if TYPE_CHECKING:
    import pandas as pd


def score_samples(samples: Sequence[Sample], judges: Sequence[Judge]) -> dict[str, list[Outcome]]:
    """Judge name -> one outcome a sample, in order.

    Raises:
        UsageError: two judges of one name, or one that lacks a field of the protocol.
    """
    for judge in judges:
        check_offers(judge, Judge, f"judge {type(judge).__name__}")
    names = [judge.name for judge in judges]
    if len(set(names)) < len(names):
        raise UsageError(f"every judge must be asked once, got {', '.join(names)}")
    rows = RewardSet({judge.name: judge for judge in judges}).judge(samples)
    return {name: [row[name] for row in rows] for name in names}


def score_images(
    images: Sequence[str | Path | None],
    prompts: Sequence[str],
    judges: str | Sequence[str | Judge],
    chains: Sequence[str | None] | None = None,
    judge_model: str | Mapping[str, Json] | None = None,
) -> pd.DataFrame:
    """Score pictures, and their chains where there are any.

    Args:
        images: files, None where there is only a chain.
        prompts: one an image.
        judges: by name (see ``gotr1-eval list judges``) or live objects; one text names one, or several separated by
            commas.
        chains: one an image, None where there is none.
        judge_model: the language-vision model of the named judges that ask one: what ``--judge-model`` takes, or
            settings such as ``{"use": "qwen", "model": ...}``.

    Returns:
        A row an image: prompt, image, and for each judge its value under its name (NaN where it is unscored) and the
        reason under ``<name>/why`` (empty where it is scored).

    Raises:
        UsageError: a text where a list is expected, unequal lengths, an unknown judge, a judge that asks a model where
            none is given, or a model that no named judge asks.
    """
    import pandas as pd

    for name, given in {"images": images, "prompts": prompts, "chains": chains}.items():
        if isinstance(given, str | Path):
            raise UsageError(f"{name}: expected a list, got the text {one_line(given, 60)!r}; put it into brackets")
    chains = chains if chains is not None else [None] * len(prompts)
    if not len(images) == len(prompts) == len(chains):
        raise UsageError(
            f"needed as many images as prompts and chains, got {len(images)}, {len(prompts)}, {len(chains)}"
        )
    named = [name.strip() for name in judges.split(",")] if isinstance(judges, str) else judges
    live = _live_judges(named, judge_model)
    samples = [
        Sample(id=str(index), prompt=prompt, chain=chain, image=Path(image) if image is not None else None)
        for index, (image, prompt, chain) in enumerate(zip(images, prompts, chains, strict=True))
    ]
    columns: dict[str, list[Any]] = {"prompt": list(prompts), "image": [None if i is None else str(i) for i in images]}
    for name, outcomes in score_samples(samples, live).items():
        columns[name] = [outcome.value if isinstance(outcome, Score) else float("nan") for outcome in outcomes]
        columns[f"{name}/why"] = ["" if isinstance(outcome, Score) else outcome.why.value for outcome in outcomes]
    return pd.DataFrame(columns)


def _live_judges(judges: Sequence[str | Judge], judge_model: str | Mapping[str, Json] | None) -> list[Judge]:
    builder = Builder()
    model = read_judge_model(judge_model) if isinstance(judge_model, str) else judge_model
    specs = {name: builder.with_model({"use": name}, model) for name in judges if isinstance(name, str)}
    if model is not None and all(spec.keys() == {"use"} for spec in specs.values()):
        raise UsageError("judge_model: none of the named judges asks a model")
    return [builder.judge(specs[judge]) if isinstance(judge, str) else judge for judge in judges]
