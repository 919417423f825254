"""Asking one judge about one batch: the only place where a failing model or judge becomes an outcome."""

from __future__ import annotations

import json
import traceback
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import BackendError, GotR1Error, UsageError, one_line
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


def missing_facts(judges: Iterable[Judge], known: Collection[str]) -> list[str]:
    """A line for each judge that needs facts of which none are known of any prompt."""
    lacking = [(judge, sorted(judge.needs - set(known))) for judge in judges]
    return [
        f"{judge.name} needs {_named(facts)} of a prompt, and no prompt has it" for judge, facts in lacking if facts
    ]


def check_facts(judges: Iterable[Judge], known: Collection[str]) -> None:
    """See that every judge has prompts to judge: some may lack its facts, since it may not apply to them, but not all.

    Args:
        known: names of the facts that at least one of the prompts has.

    Raises:
        UsageError: a judge needs a fact that no prompt has.
    """
    for line in missing_facts(judges, known):
        told = ", ".join(sorted(known)) or "none"
        raise UsageError(
            f"{line} (there are: {told}): take prompts that come with it (their benchmark as the suite, or a table "
            "with a column of that name), or other judges"
        )


def facts_of(samples: Iterable[Sample]) -> frozenset[str]:
    """The names of the facts that at least one of the samples has."""
    return frozenset(name for sample in samples for name, fact in sample.meta.items() if fact is not None)


def object_fact(sample: Sample, name: str) -> dict[str, Any] | None:
    """A sample's fact that is an object, None where it has none; a table of cells holds it as JSON text.

    Arrow, for one, has no column for a text beside a number.
    """
    fact = sample.meta.get(name)
    if isinstance(fact, str):
        with suppress(ValueError, RecursionError):
            fact = json.loads(fact)
    return fact if isinstance(fact, dict) else None


def _named(facts: Sequence[str]) -> str:
    return f"the fact{'s' * (len(facts) > 1)} {', '.join(map(repr, facts))}"


def _checked(judge: Judge, outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """The outcomes, when they are what a judge must answer; raises ValueError or TypeError otherwise."""
    if len(outcomes) != count:
        raise ValueError(f"judge {judge.name!r} gave {len(outcomes)} outcomes for {count} samples")
    return [check_range(outcome, *judge.range, judge=judge.name) for outcome in outcomes]


def _told(error: Exception) -> str:
    """Kind, message and place of an error on one line."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {one_line(error, 160)} ({Path(last.filename).name}:{last.lineno})"
