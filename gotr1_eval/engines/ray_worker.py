"""Ray's processes: the cluster that is joined, or started on this machine for the length of a run, and the workers.

A worker builds its models once and then does one part after the other.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import GotR1Error, RunError, UsageError, one_line
from gotr1_eval.core.extras import install_hint
from gotr1_eval.core.outcome import Why
from gotr1_eval.engines.worker_recipe import Recipe
from gotr1_eval.runs.parquet_parts import PartFolder
from gotr1_eval.runs.stages import Unanswered, Work, work_on
from rewards.reward_set import RewardSet

OBJECT_STORE = 128 * 2**20
"""Bytes of shared memory of a cluster of our own: only numbers of parts travel through it."""
PATIENCE = 5.0
"""Seconds to wait for the cluster's address to answer."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""Ray reads these when it is imported: nothing is reported to anyone, only what matters is printed, and workers have
the priority of any other process (Ray's own 15 leaves them next to nothing of a busy machine)."""
Row = dict[str, list[Any]]
DEATHS = 3
"""Processes that may die with a part in their hands, before the run gives up: Ray alone would go on for ever."""


@contextmanager
def cluster() -> Iterator[ModuleType]:
    """Ray's module, joined to the cluster that RAY_ADDRESS names; to one on this machine where it names none.

    A process that has called `ray.init` already keeps its cluster.

    Raises:
        UsageError: Ray is not installed, or RAY_ADDRESS is no address.
        RunError: nobody answers there.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    check_address(address)
    own: dict[str, Any] = (
        {"include_dashboard": False, "object_store_memory": OBJECT_STORE} if address == "local" else {}
    )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except ValueError as error:
        raise UsageError(f"RAY_ADDRESS={address}: {one_line(error)}") from None
    except (ConnectionError, RuntimeError) as error:
        raise RunError(f"RAY_ADDRESS={address}: cannot join the Ray cluster: {one_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _import_ray() -> ModuleType:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs Ray, which is not installed ({one_line(error)}): {install_hint('ray')}"
        ) from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray


def check_address(address: str) -> None:
    """Ask whether anyone listens there: Ray itself waits two minutes, and then ends the process.

    Raises:
        RunError: nobody does; nothing to ask for addresses without a port.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise RunError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there ({one_line(error)}); start one with `ray start "
            "--head`, or unset RAY_ADDRESS to run on this machine alone"
        ) from None


@dataclass(frozen=True, slots=True)
class PoolWork:
    """What every process of a run is told.

    Attributes:
        judges: name and fingerprint of every judge that a part has columns of.
        home: the driver's working directory, from which relative paths of settings start.
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
