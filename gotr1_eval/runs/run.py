"""A whole run in this process, from its job to judged samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.description import run_setup
from gotr1_eval.runs.job import TILE, Job, list_samples, tile_of
from gotr1_eval.runs.parquet_work import bring_view_up_to_date
from gotr1_eval.runs.shards import Shard
from gotr1_eval.runs.stages import Progress, Work, work_on
from gotr1_eval.runs.store import RunInfo, RunStore


def run_job(
    job: Job,
    *,
    shard: Shard | None = None,
    progress: Progress | None = None,
    ready: Callable[[], None] = lambda: None,
) -> Path:
    """Generate and judge every sample of the job in its run folder; resumes what is there.

    Args:
        shard: only these of the samples, in a folder of their own.
        ready: raises when the judges' models cannot answer; called before anything is generated, where anything is
            left to judge.

    Returns:
        The folder that was written.

    Raises:
        UsageError: the folder holds a run with other settings, or a judge needs facts that no prompt has.
    """
    folder = job.folder if shard is None else shard.folder(job.folder)
    tile = job.tile or tile_of(folder) or job.pictures.fitting_tile(TILE)
    missing = bring_view_up_to_date(folder)
    listed = list_samples(job, folder, tile, shard)
    if listed.anew and missing:
        raise UsageError(
            f"{folder} has grown in parts, of which {missing} samples are not made yet; go on with --engine ray"
        )
    work = Work(pictures=job.pictures, rewards=job.rewards, tile=tile, retry=job.retry)
    planned = list(listed.samples)

    def info(samples: Sequence[Sample] = ()) -> RunInfo:
        setup = run_setup(listed.facts, job.pictures.name, job.rewards, request=job.request, samples=samples)
        return RunInfo(identity=listed.identity, setup=setup)

    def describe(samples: Sequence[Sample]) -> None:
        """What a file says about pictures can be held against the pictures only now that they are there."""
        store.describe(info(samples if shard is None else ()))

    with RunStore.open(folder, info(), listed.grown_from) as store:
        if job.rewards.judges and not work.judged(store, planned):
            ready()
        work_on(store, planned, work, anew=listed.anew, progress=progress, generated=describe)
    return folder
