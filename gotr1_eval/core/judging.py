"""Asking one judge about one batch: the only place where a failing model becomes an outcome."""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.outcome import Outcome, Unscored, Why, check_range
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample


def judge_batch(judge: Judge, samples: Sequence[Sample]) -> list[Outcome]:
    """One outcome a sample, in order, each in the judge's range.

    A backend that failed as a whole says nothing about the samples: each becomes `Unscored(BACKEND)`.

    Raises:
        ValueError: the judge answered out of its range or with another number of outcomes, which is a bug in it.
    """
    if not samples:
        return []
    try:
        outcomes = judge.judge(samples)
    except BackendError as error:
        return [Unscored(why=Why.BACKEND, detail=str(error)) for _ in samples]
    if len(outcomes) != len(samples):
        raise ValueError(f"judge {judge.name!r} gave {len(outcomes)} outcomes for {len(samples)} samples")
    return [check_range(outcome, *judge.range, judge=judge.name) for outcome in outcomes]
