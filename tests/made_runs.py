"""Run folders with judgments made to order: real samples of the shapes world, scripted scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.shapes import ShapesSuite
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import GeneratedPictures
from reports.run_data import RunData, load_run
from rewards.reward_set import RewardSet
from rewards.total import Total, TotalSettings
from tests.fakes import OracleGenerator, ScriptedJudge

Answer = Callable[[Sample], Outcome]


def made_run(
    folder: Path,
    judges: Mapping[str, Answer],
    *,
    rule: str | None = None,
    categories: tuple[str, ...] = ("color", "spatial"),
    prompts: int = 4,
    images: int = 2,
) -> RunData:
    """A run of the shapes suite, painted by the oracle.

    Args:
        judges: factor -> what its judge says of each sample.
        rule: of the total, where there is one.
    """
    plan = list_samples(ShapesSuite(), categories, images_per_prompt=images, limit=prompts, seed=0)
    live = {factor: ScriptedJudge(answer, name=factor) for factor, answer in judges.items()}
    facts = {factor: (judge.range, judge.may_not_apply) for factor, judge in live.items()}
    total = Total(TotalSettings(rule=rule), facts) if rule is not None else None
    run_job(
        Job(
            folder=folder,
            samples=plan,
            pictures=GeneratedPictures(OracleGenerator()),
            rewards=RewardSet(live, total),
            settings={"suite": "shapes", "seed": 0},
        )
    )
    return load_run(folder)


def scattered(middle: float, spread: float = 0.2, salt: int = 0) -> Answer:
    """Scores in [0, 1] around a middle, decided by the sample's id and the salt."""

    def answer(sample: Sample) -> Outcome:

        digest = hashlib.sha256(f"{salt}\n{sample.id}".encode()).digest()
        share = int.from_bytes(digest[:4], "big") / 2**32
        return Score(value=min(max(middle + spread * (2 * share - 1), 0.0), 1.0))

    return answer
