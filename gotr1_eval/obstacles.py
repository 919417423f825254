"""Everything that stands against a run and can be seen before anything is loaded: all of it at once.

A start stops at the first thing that is missing; who prepares a large run wants the whole list. Each part is looked
for by the code that will use it, so that a line here is the line that the start would end with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from gotr1_eval.bench import judge_model, planned_samples, prepare_bench, suite_spec
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import GotR1Error, UsageError
from gotr1_eval.core.types import Json
from gotr1_eval.runs.request import RunRequest
from rewards.reward_set import read_reward_set

R = TypeVar("R")


def obstacles(request: RunRequest, builder: Builder) -> list[str]:
    """A line for each: prompts, folder of pictures, generator, models to look with, judges and whom they ask."""
    found: dict[str, None] = {}

    def attempt(act: Callable[[], R]) -> R | None:
        try:
            return act()
        except GotR1Error as error:
            found.setdefault(str(error))
            return None

    suite = attempt(lambda: builder.suite(suite_spec(request.suite, request.data)))
    if suite is not None:
        attempt(lambda: planned_samples(request, suite))
    if request.images is not None and not request.images.exists():
        found.setdefault(f"--images {request.images}: no such folder or file")
    if (generator := request.generator) is not None:
        attempt(lambda: builder.token_budget(generator))
    for build, spec in _models(request, builder):
        attempt(lambda build=build, spec=spec: build(spec))  # type: ignore[misc]
    judges = request.judges or (None if suite is None or request.models else suite.reward_set)
    model = attempt(lambda: judge_model(request))
    if judges is not None and (rewards := attempt(lambda: read_reward_set(judges))) is not None:
        asked = model or rewards.judge_model
        for judge in rewards.judges.values():
            attempt(lambda judge=judge: builder.judge(builder.with_model(judge, asked)))  # type: ignore[misc]
    attempt(lambda: prepare_bench(request, builder))
    return [*found]


def _models(request: RunRequest, builder: Builder) -> list[tuple[Callable[..., object], Mapping[str, Json]]]:
    """What builds each model that the request names to look with, and its settings."""
    by_role: dict[str, Callable[..., object]] = {
        "detector": builder.detector,
        "yes_no": builder.yes_no,
        "encoder": builder.encoder,
        "depth": builder.depth,
        "phrases": builder.phrases,
        "ocr": builder.ocr,
    }
    return [(by_role[role], spec) for role, spec in request.models.items()]


def refuse(lines: list[str]) -> None:
    """Raises UsageError with all of them, where there are any."""
    if len(lines) == 1:
        raise UsageError(lines[0])
    if lines:
        listed = "".join(f"\n  {place}. {line}" for place, line in enumerate(lines, 1))
        raise UsageError(f"{len(lines)} things stand against this run:{listed}")
