"""Facts of prompts, which judges may need: the entries of `Sample.meta` that a benchmark or a table gives."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample


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
