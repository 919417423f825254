"""A training run from settings: checkpoint, rewards, watched judges and held-out evaluation, put together."""

from __future__ import annotations

import json
from pathlib import Path

from gotr1_eval.build import Builder, read_judge_model
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.runs import write_atomically
from gotr1_eval.held_out import HeldOutEvaluation
from rewards.reward_set import RewardSet
from training.grpo import GrpoTrainer
from training.metrics import Report
from training.settings import GrpoSettings, SftSettings
from training.sft_run import SftTrainer
from training.trained_parts import read_policy


def prepare_grpo(settings: GrpoSettings, folder: Path, report: Report = lambda metrics: None) -> GrpoTrainer:
    """A trainer that goes on where the folder's run stopped.

    Raises:
        UsageError: the settings cannot be met, or a watched judge is trained on.
        RunError: the folder holds a run with other settings.
    """
    _claim(folder, settings)
    builder = Builder()
    judge_model = read_judge_model(settings.judge_model) if settings.judge_model else None
    rewards = builder.reward_set(settings.rewards, judge_model)
    watched = _watched(builder, settings, rewards)
    evaluate = None
    if settings.evaluation is not None:
        everything = RewardSet({**rewards.judges, **(watched.judges if watched else {})}, rewards.total)
        evaluate = HeldOutEvaluation(settings.evaluation, folder, builder, everything, settings.sampling.tile)
    policy = read_policy(settings.ckpt, settings.device, settings.dtype)
    return GrpoTrainer(settings, folder, policy, rewards, watched=watched, evaluate=evaluate, report=report)


def prepare_sft(settings: SftSettings, folder: Path, report: Report = lambda metrics: None) -> SftTrainer:
    """A supervised trainer that goes on where the folder's run stopped; raises as `prepare_grpo`."""
    _claim(folder, settings)
    checkpoint = read_policy(settings.ckpt, settings.device, settings.dtype)
    return SftTrainer(settings, folder, checkpoint, report)


def _watched(builder: Builder, settings: GrpoSettings, rewards: RewardSet) -> RewardSet | None:
    if not settings.watch:
        return None
    watched = {name: builder.judge({"use": name}) for name in settings.watch}
    trained = {judge.name: factor for factor, judge in rewards.judges.items()}
    for name, judge in watched.items():
        if judge.name in trained or name in rewards.judges:
            raise UsageError(f"watch: judge {name!r} is part of the reward; a watched judge is never trained on")
    return RewardSet(watched)


def _claim(folder: Path, settings: GrpoSettings | SftSettings) -> None:
    """Write the settings into a new folder, or see that they are the same."""
    path = folder / "training.json"
    ours = json.loads(settings.model_dump_json())
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(ours, indent=2) + "\n")
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    for key, value in ours.items():
        if key != "steps" and theirs.get(key) != value:
            raise RunError(
                f"{folder} holds a run with {key} = {theirs.get(key)!r}, now {value!r}; choose another --out, "
                "or give the same settings to go on"
            )
