"""Judging the samples of a run once more, to see whether a judge agrees with itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.job import TILE
from gotr1_eval.runs.stages import Progress, judge_tiles
from gotr1_eval.runs.store import RunStore, read_info, tiles
from rewards.reward_set import RewardSet


def retest(
    folder: Path,
    repeats: Mapping[int, Sequence[Judge]],
    *,
    items: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Judge samples of a run again; each judgment is kept under the number of its repeat. Resumes what is there.

    Args:
        repeats: number of the repeat, from 1 -> the judges of the run, asked as so many times before.
        items: how many samples, chosen by their ids alone; all by default.

    Returns:
        How many samples are judged again.

    Raises:
        UsageError: the run was not judged by one of the judges as they are set up now.
    """
    with RunStore.open(folder, read_info(folder)) as store:
        made = store.judgments().values()
        first = {(judgment.judge, judgment.fingerprint) for judgment in made if judgment.repeat == 0}
        for judge in (judge for judges in repeats.values() for judge in judges):
            if (judge.name, judge.fingerprint) not in first:
                names = ", ".join(sorted({name for name, _ in first})) or "none"
                raise UsageError(f"retest: {folder} was not judged by {judge.name!r} as it is set up now (by: {names})")
        samples = _chosen(list(store.samples().values()), items)
        for repeat, judges in repeats.items():
            for judge in judges:
                alone, stage = RewardSet({judge.name: judge}), f"retest {repeat}"
                judge_tiles(store, tiles(samples, TILE), alone, repeat=repeat, stage=stage, progress=progress)
    return len(samples)


def repeated_spec(spec: Mapping[str, Json], repeat: int) -> dict[str, Json]:
    """The judge's settings with every model in them marked as asked so often before."""
    found: dict[str, Json] = {}
    for key, value in spec.items():
        if key == "vlm" and isinstance(value, Mapping):
            found[key] = {"use": "repeated", "vlm": dict(value), "repeat": repeat}
        else:
            found[key] = repeated_spec(value, repeat) if isinstance(value, Mapping) else value
    return found


def _chosen(samples: Sequence[Sample], items: int | None) -> list[Sample]:
    lots = sorted(samples, key=lambda sample: hashlib.sha256(sample.id.encode("utf-8", "surrogatepass")).digest())
    return lots[:items]
