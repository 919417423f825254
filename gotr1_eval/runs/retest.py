"""Judging the samples of a run once more, to see whether a judge agrees with itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.stages import Progress, Silent
from gotr1_eval.runs.store import RunStore, read_info, tiles

TILE = 32


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
    progress = progress or Silent()
    with RunStore.open(folder, read_info(folder)) as store:
        known = store.judgments()
        first = {(judgment.judge, judgment.fingerprint) for judgment in known.values() if judgment.repeat == 0}
        for judge in (judge for judges in repeats.values() for judge in judges):
            if (judge.name, judge.fingerprint) not in first:
                names = ", ".join(sorted({name for name, _ in first})) or "none"
                raise UsageError(f"retest: {folder} was not judged by {judge.name!r} as it is set up now (by: {names})")
        samples = _chosen(list(store.samples().values()), items)
        for repeat, judges in repeats.items():
            for judge in judges:
                _repeat(store, samples, judge, repeat, known, progress)
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


def _repeat(
    store: RunStore,
    samples: Sequence[Sample],
    judge: Judge,
    repeat: int,
    known: Mapping[tuple[str, str, str, int], Judgment],
    progress: Progress,
) -> None:
    done = {key[0] for key, one in known.items() if one.final and key[1:] == (judge.name, judge.fingerprint, repeat)}
    todo = [sample for sample in samples if sample.id not in done]
    progress.start(f"retest {repeat}", len(samples), len(samples) - len(todo))
    for part in tiles(todo, TILE):
        outcomes = judge_batch(judge, part)
        store.append_judgments(
            Judgment(sample=sample.id, judge=judge.name, fingerprint=judge.fingerprint, outcome=outcome, repeat=repeat)
            for sample, outcome in zip(part, outcomes, strict=True)
        )
        progress.advance(len(part))


def _chosen(samples: Sequence[Sample], items: int | None) -> list[Sample]:
    lots = sorted(samples, key=lambda sample: hashlib.sha256(sample.id.encode("utf-8", "surrogatepass")).digest())
    return lots[:items]
