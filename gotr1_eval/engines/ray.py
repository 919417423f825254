"""The Ray engine: a run's parts stream through pools of processes that hold the models.

The driver lays the plan out as Parquet parts (`runs.parts`) and hands out their numbers; Ray Data moves them through a
pool that generates and a pool that judges, as fast as the slower one. A worker reads its part, does what is missing and
writes it whole. So no process holds more than one part, a worker or a driver that dies loses the parts in its hands,
and the same command does those again and nothing else. In the end the driver copies the parts into the run's JSON
lines, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.engines.ray_worker import PartWorker, PoolWork, cluster, fitting_tile, judges_fault
from gotr1_eval.engines.worker_recipe import Recipe
from gotr1_eval.runs.description import expected_of, run_setup
from gotr1_eval.runs.job import TILE, Job, grown_at, list_samples, tile_of
from gotr1_eval.runs.parquet_parts import PartFolder, PartStore, parts_of
from gotr1_eval.runs.parquet_work import lay_out, number_of_parts, part_size, write_view
from gotr1_eval.runs.stages import Progress, Work
from gotr1_eval.runs.store import RunInfo, RunStore, read_info
from gotr1_eval.settings import Settings

if TYPE_CHECKING:
    from ray.data import Dataset


class RaySettings(Settings):
    """Pools and parts of a run on Ray; the cluster's address is Ray's own RAY_ADDRESS.

    Attributes:
        workers: processes that judge; by default as many as fit beside the generators.
        worker_cpus, worker_gpus: what each of them takes; a fraction of a GPU lets several share one.
        generators: processes that hold the generator, where pictures are generated.
        generator_cpus, generator_gpus: what each of them takes.
        part: samples of a part, rounded up to whole tiles; by default as `gotr1_eval.runs.parquet_work.part_size` says.
        parts: folder or fsspec URL of the Parquet parts; parts/ in the run folder by default.
    """

    workers: int | None = Field(None, ge=1)
    worker_cpus: float = Field(1.0, gt=0)
    worker_gpus: float = Field(0.0, ge=0)
    generators: int = Field(1, ge=1)
    generator_cpus: float = Field(1.0, gt=0)
    generator_gpus: float = Field(0.0, ge=0)
    part: int | None = Field(None, ge=1)
    parts: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_of_before(cls, values: Any) -> Any:  # noqa: ANN401 (pydantic hands over whatever it was given)
        for name in values if isinstance(values, Mapping) else ():
            if name.startswith("painter"):
                now = name.replace("painter", "generator")
                raise UsageError(f"--engine ray: the setting {name}= is called {now}= now")
        return values


class RayEngine:
    """See `gotr1_eval.engines.Engine`.

    Args:
        builder: built the judges and the generator that `run` is given.
    """

    def __init__(self, settings: RaySettings, builder: Builder) -> None:
        self._settings, self._builder = settings, builder

    def folder(self, job: Job) -> Path:
        """See `gotr1_eval.engines.Engine`."""
        return job.folder

    def run(self, job: Job, progress: Progress) -> Path:
        """See `gotr1_eval.engines.Engine`.

        Raises:
            UsageError: the folder holds a run with other settings, or the cluster lacks what a pool takes.
            RunError: no cluster answers, or a part kills every process that takes it.
        """
        folder, rewards = job.folder, job.rewards
        recipe = Recipe.of(self._builder, job.pictures, rewards)
        with cluster() as ray:
            _check_room(ray.cluster_resources(), self._pools(ray, recipe))
            tile = job.tile or tile_of(folder) or self._fitting_tile(ray, recipe)
            listed = list_samples(job, folder, tile)
            parts, size = self._parts(folder, listed.facts.count, tile, generates=recipe.generates)
            setup = run_setup(listed.facts, job.pictures.name, rewards, samples=job.samples, request=job.request)
            setup |= {"parts": {"place": parts.place, "samples": size}}
            info = RunInfo(identity=listed.identity, setup=setup)
            grows = listed.there if parts_of(folder) is not None else None
            with RunStore.open(folder, grows or info, listed.grown_from) as store:
                if grows is not None:
                    _check_laid_out(grows, parts, size)
                count = lay_out(
                    parts, listed.samples, listed.facts.count, size, rewards.makers, listed.anew, rows=grows is None
                )
                # Only now, so that a start that is killed leaves the run as it was.
                store.describe(info)
                self._check_judges(ray, recipe, parts, Work(pictures=None, rewards=rewards, tile=tile, retry=job.retry))
                progress.start("judge" if rewards.judges else "generate", listed.facts.count, 0)
                work = PoolWork(recipe, parts, rewards.makers, tile, tuple(job.retry), Path.cwd())
                for samples in self._stream(ray, count, work):
                    progress.advance(samples)
                write_view(parts)
        return folder

    def _fitting_tile(self, ray: ModuleType, recipe: Recipe) -> int:
        """The generator's own word, given on the device where it will run."""
        if not recipe.generates:
            return TILE
        settings = self._settings
        asking = ray.remote(fitting_tile).options(num_cpus=settings.generator_cpus, num_gpus=settings.generator_gpus)
        return int(ray.get(asking.remote(recipe, TILE, Path.cwd())))

    def _check_judges(self, ray: ModuleType, recipe: Recipe, parts: PartFolder, work: Work) -> None:
        """Ask the models behind the judges, where anything is left to judge and from where they will be asked.

        Raises:
            RunError, UsageError: one does not answer, and why.
        """
        if not recipe.judges or all(_is_judged(parts, number, work) for number in parts.numbers()):
            return
        asking = ray.remote(judges_fault).options(num_cpus=self._settings.worker_cpus)
        fault, code = ray.get(asking.remote(recipe, Path.cwd()))
        if fault:
            raise _told(fault, code)

    def _parts(self, folder: Path, count: int, tile: int, *, generates: bool) -> tuple[PartFolder, int]:
        """Where the run's parts are, and how many samples each has; as they are where the run has some already."""
        there = parts_of(folder)
        asked = self._settings.part and -(-self._settings.part // tile) * tile
        if there is None:
            return self._new_parts(folder), asked or part_size(count, tile, generates=generates)
        facts: Any = read_info(folder).setup["parts"]
        size = int(facts["samples"])
        if asked not in (None, size) or self._place() not in (None, there.place):
            raise UsageError(
                f"--engine ray: {folder} has parts of {size} samples in {there.place}; leave part= and parts= out"
            )
        return there, size

    def _new_parts(self, folder: Path) -> PartFolder:
        """An empty place: parts that one process has gone on from since are removed, those of others are not."""
        place = self._place()
        if place is None:
            parts = PartFolder(str(folder.absolute() / "parts"), folder)
            parts.clear()
            return parts
        parts = PartFolder(place, folder)
        if parts.numbers():
            raise UsageError(f"--engine ray,parts={place}: holds parts already, of another run; choose an empty place")
        return parts

    def _place(self) -> str | None:
        """Where the settings want the parts."""
        place = self._settings.parts
        return place if place is None or "://" in place else str(Path(place).absolute())

    def _stream(self, ray: ModuleType, count: int, work: PoolWork) -> Iterator[int]:
        """The number of samples of each part as it is finished, in any order."""
        rows = [{"part": number, "fault": "", "code": 0} for number in range(count)]
        stream = ray.data.from_items(rows, override_num_blocks=count)
        for pool in self._pools(ray, work.recipe):
            stream = _through(ray, stream, work, replace(pool, size=min(pool.size, count)))
        for row in stream.iter_rows():
            if row["fault"]:
                raise _told(str(row["fault"]), int(row["code"]))
            yield int(row["samples"])

    def _pools(self, ray: ModuleType, recipe: Recipe) -> list[_Pool]:
        """The pools that a part passes through."""
        settings = self._settings
        generators = _Pool(settings.generators, settings.generator_cpus, settings.generator_gpus, generates=True)
        workers = _Pool(
            settings.workers or 1,
            settings.worker_cpus,
            settings.worker_gpus,
            generates=not recipe.generates,
            judges=bool(recipe.judges),
        )
        if not recipe.judges:
            return [generators if recipe.generates else workers]
        before = [generators] if recipe.generates else []
        if settings.workers is None:
            workers = replace(workers, size=_room(ray.cluster_resources(), workers, before))
        return [*before, workers]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Processes that do the same: how many, what each takes, and what it does with a part."""

    size: int
    cpus: float
    gpus: float
    generates: bool = False
    judges: bool = False


def _room(have: Mapping[str, float], pool: _Pool, others: Sequence[_Pool]) -> int:
    """How many processes of a pool fit beside the others; at least one."""
    left = {
        "CPU": have.get("CPU", 0) - sum(other.size * other.cpus for other in others),
        "GPU": have.get("GPU", 0) - sum(other.size * other.gpus for other in others),
    }
    fits = left["CPU"] / pool.cpus
    return max(int(min(fits, left["GPU"] / pool.gpus) if pool.gpus else fits), 1)


def _check_room(have: Mapping[str, float], pools: Sequence[_Pool]) -> None:
    """A pool of which not one process fits would wait for ever.

    Raises:
        UsageError: one process of each pool takes more than the cluster has.
    """
    for kind, needed in (("CPU", sum(pool.cpus for pool in pools)), ("GPU", sum(pool.gpus for pool in pools))):
        if needed > have.get(kind, 0):
            raise UsageError(
                f"--engine ray: one process of each pool takes {needed:g} {kind}s together, and the cluster has "
                f"{have.get(kind, 0):g}; set worker_{kind.lower()}s= or generator_{kind.lower()}s="
            )


def _check_laid_out(there: RunInfo, parts: PartFolder, size: int) -> None:
    """See that a run that is to grow has all its parts, and none of a start that was killed while it grew.

    Raises:
        UsageError: a part is missing.
    """
    count = number_of_parts(sum(expected_of(there).values()), size, grown_at(there.identity))
    parts.clear(count)
    if missing := count - len(parts.numbers()):
        raise UsageError(
            f"{parts.run}: {missing} of its {count} parts are not laid out; give the command that made it once more, "
            "then ask for more"
        )


def _is_judged(parts: PartFolder, number: int, work: Work) -> bool:
    part = parts.read(number)
    return work.judged(PartStore(parts.run, part), part.samples)


def _through(ray: ModuleType, stream: Dataset, work: PoolWork, pool: _Pool) -> Dataset:
    """The stream behind a pool."""
    return stream.map_batches(
        PartWorker,
        fn_constructor_args=(work,),
        fn_constructor_kwargs={"generates": pool.generates, "judges": pool.judges},
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=pool.size),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
    )


def _told(fault: str, code: int) -> RunError | UsageError:
    """What a worker raised, with its own exit code."""
    error = UsageError(fault) if code == UsageError.exit_code else RunError(fault)
    error.exit_code = code
    return error
