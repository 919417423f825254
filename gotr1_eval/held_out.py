"""The held-out evaluation of a policy in training: an ordinary benchmark run with a report of its own."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.build import Builder
from gotr1_eval.core.protocols import Generator
from gotr1_eval.core.types import Json
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import plan_samples
from gotr1_eval.runs.sources import GeneratedPictures
from reports.run_data import load_run
from reports.run_page.page import write_page
from reports.tables import ALL, summarise_run
from rewards.reward_set import RewardSet
from training.settings import EvaluationSettings

SEED = 0
"""Of the samples: always the same, so that two steps differ by the policy alone."""


class HeldOutEvaluation:
    """Measures a policy on a suite's val prompts with the training rewards and the watched judges.

    Args:
        folder: of the training run; evaluation N is the run folder ``evaluations/step-N`` in it.
        tile: samples made and judged together.
    """

    def __init__(
        self, settings: EvaluationSettings, folder: Path, builder: Builder, rewards: RewardSet, tile: int
    ) -> None:
        suite = builder.suite(settings.suite)
        self._plan = plan_samples(
            suite, suite.categories, images_per_prompt=1, limit=settings.prompts_per_category, seed=SEED
        )
        self._suite, self._folder, self._rewards, self._tile = suite.name, folder, rewards, tile

    def __call__(self, policy: Generator, step: int) -> dict[str, float]:
        """Mean and 95 % interval of every factor over all categories, and of the headline in each."""
        folder = self._folder / "evaluations" / f"step-{step:06}"
        settings: dict[str, Json] = {"suite": self._suite, "step": step, "seed": SEED}
        pictures = GeneratedPictures(policy)
        run_job(
            Job(
                folder=folder,
                samples=self._plan,
                pictures=pictures,
                rewards=self._rewards,
                settings=settings,
                tile=self._tile,
            )
        )
        run = load_run(folder)
        table = summarise_run(run)
        write_page(run, table)
        measured: dict[str, float] = {}
        for column in run.judges:
            whole = table.rows.get(ALL) or next(iter(table.rows.values()))
            facts = {"mean": whole[column.name].mean, "low": whole[column.name].low, "high": whole[column.name].high}
            measured |= {f"{column.factor}/{name}": value for name, value in facts.items() if value is not None}
            measured[f"{column.factor}/scored"] = whole[column.name].scored
            for category, row in table.rows.items():
                mean = row[column.name].mean
                if column.factor == self._rewards.headline and mean is not None:
                    measured[f"{column.factor}/{category}"] = mean
        return measured
