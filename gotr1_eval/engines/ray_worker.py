"""The processes of a Ray pool: each builds its models once and then does one part after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import GotR1Error, RunError
from gotr1_eval.core.outcome import Why
from gotr1_eval.engines.recipe import Recipe
from gotr1_eval.runs.parts import PartFolder
from gotr1_eval.runs.stages import Unanswered, Work, work_on
from rewards.reward_set import RewardSet

Row = dict[str, list[Any]]

DEATHS = 3
"""Processes that may die with a part in their hands, before the run gives up: Ray alone would go on for ever."""


@dataclass(frozen=True, slots=True)
class PoolWork:
    """What every process of a run is told.

    Attributes:
        judges: name and fingerprint of every judge that a part has columns of.
        home: the folder that relative paths of settings start from.
    """

    recipe: Recipe
    parts: PartFolder
    judges: Sequence[tuple[str, str]]
    tile: int
    retry: Sequence[Why]
    home: Path


class PartWorker:
    """Generates parts, judges them, or both; an actor of Ray Data, called with one part's number at a time.

    An error that the project raises on purpose travels on as text: the driver ends the run with it.
    """

    def __init__(self, work: PoolWork, *, generates: bool, judges: bool) -> None:
        self._work, self._generates, self._judges = work, generates, judges
        self._builder = Builder()
        self._unanswered = Unanswered()  # a judge may fall silent over many parts of one tile each

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> Row:
        """The part's row, with the number of its samples, and what went wrong with it."""
        number, fault, code = int(batch["part"][0]), str(batch["fault"][0]), int(batch["code"][0])
        samples = 0
        if not fault:
            try:
                samples = self._do(number)
            except GotR1Error as error:
                fault, code = str(error), error.exit_code
        return {"part": [number], "samples": [samples], "fault": [fault], "code": [code]}

    def _do(self, number: int) -> int:
        """Read the part, do what it lacks, and write it; what was done before an error is kept."""
        work = self._work
        if work.parts.begin(number) >= DEATHS:
            raise RunError(f"part {number} of the run has killed {DEATHS} workers; see what its samples have in common")
        samples = self._work_on(number)
        work.parts.finish(number)
        return samples

    def _work_on(self, number: int) -> int:
        told = self._work
        enter(told.home)
        work = Work(
            pictures=told.recipe.source(self._builder) if self._generates else None,
            rewards=told.recipe.rewards(self._builder) if self._judges else RewardSet({}),
            tile=told.tile,
            retry=told.retry,
        )
        with told.parts.open(number, told.judges) as store:
            samples = list(store.part.samples)
            work_on(store, samples, work, unanswered=self._unanswered)
        return len(samples)


def enter(home: Path) -> None:
    """Stand where the driver stands, so that relative paths mean the same; machines without the folder stay."""
    if home.is_dir():
        os.chdir(home)


def fitting_tile(recipe: Recipe, most: int, home: Path) -> int:
    """How many samples the generator can make together on the device that this process was given."""
    enter(home)
    return recipe.source(Builder()).fitting_tile(most)


def judges_fault(recipe: Recipe, home: Path) -> tuple[str, int]:
    """Why the models behind the judges do not answer from where the judges will run, and the exit code; empty text
    where they do."""
    enter(home)
    builder = Builder()
    recipe.rewards(builder)
    try:
        builder.ready()
    except GotR1Error as error:
        return str(error), error.exit_code
    return "", 0
