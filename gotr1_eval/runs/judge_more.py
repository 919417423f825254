"""More judges over the samples of a run that is there, beside those that it was judged by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.judging import check_facts, facts_of, judge_batch
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.files.shared_pictures import shared_pictures
from gotr1_eval.runs.description import judge_facts
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.stages import Progress, Silent
from gotr1_eval.runs.store import RunInfo, RunStore, read_info, tiles
from rewards.reward_set import RewardSet

TILE = 32


def judge_more(folder: Path, rewards: RewardSet, progress: Progress | None = None) -> list[str]:
    """Judge a run's samples by the judges of a set, each alone; what they judged already stays. No total is formed.

    Returns:
        The judges' names.

    Raises:
        UsageError: a judge needs facts that no sample has, or the folder is no run.
    """
    progress = progress or Silent()
    with RunStore.open(folder, read_info(folder)) as store:
        samples = list(store.samples().values())
        if not samples:
            raise UsageError(f"{folder} holds no samples to judge")
        check_facts(rewards.judges.values(), facts_of(samples))
        known = store.judgments()
        for factor, judge in rewards.judges.items():
            store.describe(_with_judge(read_info(folder), factor, judge, samples))
            key = (judge.name, judge.fingerprint, 0)
            done = {name[0] for name, one in known.items() if one.final and name[1:] == key}
            progress.start(judge.name, len(samples), len(done))
            for part in tiles([sample for sample in samples if sample.id not in done], TILE):
                store.append_judgments(_judged(judge, part))
                progress.advance(len(part))
    return [judge.name for judge in rewards.judges.values()]


def _judged(judge: Judge, samples: Sequence[Sample]) -> list[Judgment]:
    """A tile's judgments, each with its share of the time; pictures are opened anew, so that judges' times compare."""
    start = time.perf_counter()
    with shared_pictures():
        outcomes = judge_batch(judge, samples)
    each = (time.perf_counter() - start) / len(samples)
    return [
        Judgment(
            sample=sample.id, judge=judge.name, fingerprint=judge.fingerprint, outcome=outcome, seconds=each
        )
        for sample, outcome in zip(samples, outcomes, strict=True)
    ]  # fmt: skip


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
