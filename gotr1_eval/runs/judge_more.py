"""More judges over the samples of a run that is there, beside those that it was judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.facts import check_facts, facts_of
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.description import judge_facts
from gotr1_eval.runs.job import TILE
from gotr1_eval.runs.stages import Progress, judge_tiles
from gotr1_eval.runs.store import RunInfo, RunStore, read_info, tiles
from rewards.reward_set import RewardSet


def judge_more(folder: Path, rewards: RewardSet, progress: Progress | None = None) -> list[str]:
    """Judge a run's samples by the judges of a set, each alone; what they judged already stays. No total is formed.

    Returns:
        The judges' names.

    Raises:
        UsageError: a judge needs facts that no sample has, or the folder is no run.
    """
    with RunStore.open(folder, read_info(folder)) as store:
        samples = list(store.samples().values())
        if not samples:
            raise UsageError(f"{folder} holds no samples to judge")
        check_facts(rewards.judges.values(), facts_of(samples))
        for factor, judge in rewards.judges.items():
            store.describe(_with_judge(read_info(folder), factor, judge, samples))
            # Alone, so that each opens the pictures anew, and judges' times compare.
            judge_tiles(store, tiles(samples, TILE), RewardSet({factor: judge}), stage=judge.name, progress=progress)
    return [judge.name for judge in rewards.judges.values()]


def _with_judge(info: RunInfo, factor: str, judge: Judge, samples: Sequence[Sample]) -> RunInfo:
    """The run's description with the judge in it, under its factor, or its name where another judge is called so."""
    listed = info.setup["judges"]
    assert isinstance(listed, list)
    rows = [row for row in listed if isinstance(row, dict)]
    if any((row["name"], row["fingerprint"]) == (judge.name, judge.fingerprint) for row in rows):
        return info
    others = [row for row in rows if row["name"] != judge.name]
    unique = judge.name if factor in {row["factor"] for row in others} else factor
    return replace(info, setup={**info.setup, "judges": [*others, judge_facts(unique, judge, samples)]})
