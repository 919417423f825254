"""Asking one judge about one batch: where a judge that fails as a whole, or breaks, becomes an outcome a sample."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from gotr1_eval.core.errors import BackendError, GotR1Error, one_line
from gotr1_eval.core.outcome import Outcome, Unscored, Why, check_range
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample


def judge_batch(judge: Judge, samples: Sequence[Sample]) -> list[Outcome]:
    """One outcome a sample, in order, each in the judge's range.

    A backend that failed as a whole says nothing about the samples: each becomes `Unscored(BACKEND)`. A judge that
    fails in its own code, answers out of its range, or too few, is asked about each sample alone, so that its fault
    costs only the samples that meet it; they are `Unscored(BACKEND)`, too, and asked again once it is mended.

    Raises:
        GotR1Error: what the judge raises on purpose (settings that cannot be, a budget that is spent).
    """
    if not samples:
        return []
    try:
        return _checked(judge, judge.judge(samples), len(samples))
    except BackendError as error:
        return [Unscored(why=Why.BACKEND, detail=str(error)) for _ in samples]
    except GotR1Error:
        raise
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything)
        if len(samples) == 1:
            return [Unscored(why=Why.BACKEND, detail=f"the judge failed: {_told(error)}")]
        return [outcome for sample in samples for outcome in judge_batch(judge, [sample])]


def _checked(judge: Judge, outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """The outcomes, when they are what a judge must answer; raises ValueError or TypeError otherwise."""
    if len(outcomes) != count:
        raise ValueError(f"judge {judge.name!r} gave {len(outcomes)} outcomes for {count} samples")
    return [check_range(outcome, *judge.range, judge=judge.name) for outcome in outcomes]


def _told(error: Exception) -> str:
    """Kind, message and place of an error on one line."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {one_line(error, 160)} ({Path(last.filename).name}:{last.lineno})"
