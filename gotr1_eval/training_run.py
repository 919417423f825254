"""A training run from settings: checkpoint, rewards, watched judges and held-out evaluation, put together.

The held-out evaluation is an ordinary benchmark run with a report of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from gotr1_eval.build import Builder, read_judge_model
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.facts import check_facts
from gotr1_eval.core.protocols import Generator, Remarking
from gotr1_eval.core.secrets import redacted_json
from gotr1_eval.core.types import Json
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.shards import Shard, merge
from gotr1_eval.runs.sources import GeneratedPictures
from reports.run_data import load_run
from reports.run_page.page import write_page
from reports.run_summary import ALL, summarise_run
from reports.score_export import write_scores
from rewards.reward_set import RewardSet, refuse_as_reward
from rewards.total import TOTAL
from training.accelerating import fail_together
from training.grpo import GrpoTrainer
from training.metrics import Report
from training.offloading import Offloading
from training.policies import Sampling
from training.policies.reading import read_policy
from training.prompt_sets import PromptMix
from training.reward_judging import check_applies, prompt_samples
from training.settings import GrpoSettings, SftSettings
from training.settings_tables import EvaluationSettings
from training.sft_run import SftTrainer

SEED = 0
"""Of the samples: always the same, so that two steps differ by the policy alone."""
_ASKED = 32
"""Steps whose prompts the reward is asked about before anything is sampled."""
_FREE = {
    "steps", "save_every", "keep", "trackers", "sample_table", "device", "judge_patience", "judge_while_generating",
    "offload_judges", "max_unscored", "window", "micro_batch", "gradient_checkpointing",
}  # fmt: skip
"""Settings that may change from one start to the next. What a step does stays what it was, but for the learning rate,
whose course `steps` sets, and for last digits, where `micro_batch` changes what is added together."""


class HeldOutEvaluation:
    """Measures a policy on a suite's val prompts with the training rewards and the watched judges.

    Args:
        folder: of the training run; evaluation N is the run folder ``evaluations/step-N`` in it.
    """

    def __init__(self, settings: EvaluationSettings, folder: Path, builder: Builder, rewards: RewardSet) -> None:
        suite = builder.suite(settings.suite)
        self._plan = list_samples(
            suite,
            suite.categories,
            images_per_prompt=settings.samples_per_prompt,
            limit=settings.prompts_per_category,
            seed=SEED,
        )
        self._suite, self._folder, self._rewards = suite.name, folder, rewards

    def judge(self, policy: Generator, step: int, tile: int, place: int = 0, count: int = 1) -> None:
        """Generate and judge this process's share of the prompts: whole tiles, the same whatever the processes' number.

        Args:
            tile: samples made and judged together.
            place: of this process among `count` of them.
        """
        settings: dict[str, Json] = {"suite": self._suite, "step": step, "seed": SEED}
        job = Job(
            folder=self._run_folder(step),
            samples=self._plan,
            pictures=GeneratedPictures(policy),
            rewards=self._rewards,
            settings=settings,
            tile=tile,
        )
        run_job(job, shard=Shard(place + 1, count) if count > 1 else None)

    def measure(self, step: int, count: int = 1) -> dict[str, float]:
        """Mean and 95 % interval of every factor over all categories, and of the headline in each.

        Args:
            count: of the processes that have judged a share each; one of them measures.
        """
        folder = self._run_folder(step)
        if count > 1:
            shutil.rmtree(folder, ignore_errors=True)  # what was left by a process that was killed here
            merge(folder)
            for number in range(1, count + 1):
                shutil.rmtree(Shard(number, count).folder(folder))
        run = load_run(folder)
        table = summarise_run(run)
        write_page(run, table)
        write_scores(run)
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

    def _run_folder(self, step: int) -> Path:
        return self._folder / "evaluations" / f"step-{step:06}"


def prepare_grpo(
    settings: GrpoSettings,
    folder: Path,
    report: Report = lambda metrics: None,
    note: Callable[[str], None] = lambda line: None,
) -> GrpoTrainer:
    """A trainer that goes on where the folder's run stopped.

    Args:
        note: is told a line for everything that the judges remark about the first prompts, such as a watched judge
            without weights, whose column stays empty.

    Raises:
        UsageError: the settings cannot be met, a watched judge is trained on, the reward is not for such prompts or is
            refused as one, or the folder holds a run with other settings.
    """
    settings = _as_begun(folder, settings)
    _check_claim(folder, settings)
    builder = Builder()
    judge_model = read_judge_model(settings.judge_model) if settings.judge_model else None
    rewards = builder.reward_set(settings.rewards, judge_model)
    refuse_as_reward(rewards)
    watched = _watched(builder, settings, rewards, judge_model)
    mix = PromptMix(settings.prompts, settings.seed, builder.suite)
    for judged in filter(None, (rewards, watched)):
        check_facts(judged.judges.values(), mix.facts)
    first = [prompt for step in range(_ASKED) for prompt in mix.step(step, settings.prompts_per_step)]
    asked = list({id(prompt): prompt for prompt in first}.values())
    check_applies(rewards, asked)
    evaluate = None
    if settings.evaluation is not None:
        everything = RewardSet({**rewards.judges, **(watched.judges if watched else {})}, rewards.total)
        evaluate = HeldOutEvaluation(settings.evaluation, folder, builder, everything)
    policy = read_policy(settings.ckpt, settings.device, settings.dtype, settings.policy_sampling)
    judging = Offloading(builder.built, policy.model.device).judging if settings.offload_judges else nullcontext
    trainer = GrpoTrainer(
        settings, folder, policy, rewards, mix, watched=watched, evaluate=evaluate, judging=judging, report=report
    )
    _claim(folder, trainer.settings, trainer.accelerator)
    if trainer.accelerator.is_main_process:
        if trainer.settings != settings and policy.model.device.type == "cuda":
            note(
                f"sampling.tile = {trainer.tile} and micro_batch = {trainer.micro_batch}, of which those not given fit"
            )
        judges = [judge for judged in filter(None, (rewards, watched)) for judge in judged.judges.values()]
        for judge in judges:
            for line in judge.remarks(prompt_samples(asked)) if isinstance(judge, Remarking) else ():
                note(line)
    return trainer


def prepare_sft(settings: SftSettings, folder: Path, report: Report = lambda metrics: None) -> SftTrainer:
    """A supervised trainer that goes on where the folder's run stopped; raises as `prepare_grpo`."""
    _check_claim(folder, settings)
    policy = read_policy(settings.ckpt, settings.device, settings.dtype, Sampling(guidance=1.0))
    trainer = SftTrainer(settings, folder, policy, report)
    _claim(folder, settings, trainer.accelerator)
    return trainer


def _watched(
    builder: Builder, settings: GrpoSettings, rewards: RewardSet, judge_model: Mapping[str, Json] | None
) -> RewardSet | None:
    trained = {judge.name for judge in rewards.judges.values()}
    if isinstance(settings.watch, str):
        members = builder.reward_set(settings.watch, judge_model, idle_model=True).judges
        watched = {name: judge for name, judge in members.items() if judge.name not in trained}
    else:
        watched = {name: builder.judge(builder.with_model(spec, judge_model)) for name, spec in settings.watch.items()}
    for name, judge in watched.items():
        if judge.name in trained:
            raise UsageError(
                f"watch: {name!r} is {judge.name}, a part of the reward; a watched judge is never trained on"
            )
        if name in (*rewards.judges, TOTAL):
            raise UsageError(f"watch: {name!r} is what the reward calls another judge; give it another name")
    return RewardSet(watched) if watched else None


def _check_claim(folder: Path, settings: GrpoSettings | SftSettings) -> None:
    """See that a run that is there already has the same settings."""
    path = folder / "training.json"
    theirs = _as_now(json.loads(path.read_text(encoding="utf-8")), type(settings)) if path.exists() else {}
    for key, value in redacted_json(json.loads(settings.model_dump_json())).items():
        if theirs and key not in _FREE and _deciding(key, theirs.get(key)) != _deciding(key, value):
            raise UsageError(
                f"{folder} holds a run with {key} = {theirs.get(key)!r}, now {value!r}; choose another --out, "
                "or give the same settings to go on"
            )


def _deciding(key: str, value: Any) -> Any:  # noqa: ANN401 - any setting's
    """What of a setting must stay: a judge's model, not the address at which a server happens to offer it."""
    return value.rpartition("#")[2] if key == "judge_model" and isinstance(value, str) and "#" in value else value


def _as_begun(folder: Path, settings: GrpoSettings) -> GrpoSettings:
    """The settings with the numbers that a run in the folder began with where they say "auto"."""
    path = folder / "training.json"
    if not path.exists():
        return settings
    theirs = _as_now(json.loads(path.read_text(encoding="utf-8")), GrpoSettings)
    tile, micro_batch = settings.sampling.tile, settings.micro_batch
    begun = theirs.get("sampling", {}).get("tile", tile), theirs.get("micro_batch", micro_batch)
    return settings.with_fitted(
        begun[0] if tile == "auto" else tile, begun[1] if micro_batch == "auto" else micro_batch
    )


def _as_now(theirs: dict[str, Any], kind: type[GrpoSettings] | type[SftSettings]) -> dict[str, Any]:
    """Settings as today's would write them: one that an earlier version did not have is what it did, the default."""
    try:
        read: dict[str, Any] = json.loads(kind.model_validate(theirs).model_dump_json())
    except ValueError:
        return theirs
    return read


def _claim(folder: Path, settings: GrpoSettings | SftSettings, accelerator: Accelerator) -> None:
    """Write the settings into the folder, once everything they name was found; the first process does."""
    with fail_together():
        if accelerator.is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            told = json.dumps(json.loads(settings.model_dump_json()), indent=2)
            write_atomically(folder / "training.json", f"{told}\n")
