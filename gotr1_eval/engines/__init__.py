"""Engines: where the tiles of a run are made and judged.

`local`, the default and the reference, is this process; `ray` is a pool of processes on any number of machines. Both
give the same samples and the same judgments, and either can go on where the other one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.types import Json
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.shards import Shard, read_shard
from gotr1_eval.runs.stages import Progress
from gotr1_eval.settings import read_settings

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Makes and judges every sample of a job."""

    def folder(self, job: Job) -> Path:
        """Where it writes: the job's folder, or that of a shard of it."""
        ...

    def run(self, job: Job, progress: Progress) -> Path:
        """Do what is missing in the job's folder, and return the folder that was written.

        Raises:
            UsageError: the folder holds a run with other settings.
        """
        ...


class LocalEngine:
    """This process; holds the samples and judgments of the run (or of its shard) in memory."""

    def __init__(self, shard: Shard | None, ready: Callable[[], None] = lambda: None) -> None:
        self._shard, self._ready = shard, ready

    def folder(self, job: Job) -> Path:
        """See `Engine`."""
        return job.folder if self._shard is None else self._shard.folder(job.folder)

    def run(self, job: Job, progress: Progress) -> Path:
        """See `Engine`."""
        return run_job(job, shard=self._shard, progress=progress, ready=self._ready)


def open_engine(spec: Mapping[str, Json], builder: Builder, shard: str | None = None) -> Engine:
    """The engine that ``{"use": name, ...}`` describes.

    Args:
        builder: what built the judges and the generator that the engine will be given.
        shard: what --shard names; an engine of several processes takes none.

    Raises:
        UsageError: an unknown engine or setting, or a package that is not installed.
    """
    name, *settings = str(spec.get("use")), *[key for key in spec if key != "use"]
    if name == "local":
        if settings:
            raise UsageError(f"--engine local: takes no settings, got {', '.join(settings)}")
        return LocalEngine(read_shard(shard), builder.ready)
    if name != "ray":
        raise UsageError(f"--engine: no engine {name!r}{nearest_name(name, ENGINES)} (known: {', '.join(ENGINES)})")
    if shard is not None:
        raise UsageError(f"--shard {shard}: --engine ray divides the run among its workers by itself; leave one out")
    from gotr1_eval.engines.ray import RayEngine, RaySettings

    values = {key: value for key, value in spec.items() if key != "use"}
    return RayEngine(read_settings(RaySettings, values, where="--engine ray"), builder)
