"""From a request to a finished run: the one path of the command line, of Python, and of every engine.

from gotr1_eval import run_benchmark
run = run_benchmark(suite="shapes", ckpt="tiny-janus", limit=5)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.official import ASKED, official_specs
from gotr1_eval.build import Builder, read_judge_model
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.protocols import Suite
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.engines import open_engine
from gotr1_eval.files.columns import read_columns
from gotr1_eval.files.prompts import is_prompt_file
from gotr1_eval.runs.costs import counted
from gotr1_eval.runs.estimate import Estimate, estimate
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.runs.request import JudgingRequest, RunRequest, ScoreRequest
from gotr1_eval.runs.samples import chosen_categories, list_samples
from gotr1_eval.runs.sources import FolderPictures, GeneratedPictures, GivenPictures, PictureSource
from gotr1_eval.runs.stage_bars import StageBars
from gotr1_eval.runs.stages import Progress, Silent
from gotr1_eval.settings import read_component, read_settings
from rewards.inputs import refuse_without_plan
from rewards.reward_set import RewardSet

if TYPE_CHECKING:
    from reports.dataframes import RunFrames
    from reports.run_report import Digest

R = TypeVar("R", bound=JudgingRequest)
WITHOUT_MODELS = "without_models"
"""The reward set that looks at chains alone and asks no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request with everything that it names found and built, and nothing made or judged yet.

    Attributes:
        suite: None where samples are scored that no suite planned.
        samples: what is to be made and judged, in order.
        rewards: the official judges by column, and beside them those of the reward set with its total.
        notes: what the user should know, one line each.
    """

    request: JudgingRequest
    suite: Suite | None
    samples: Iterable[Sample]
    rewards: RewardSet
    notes: Sequence[str] = ()


def prepare_bench(request: RunRequest, builder: Builder) -> Prepared:
    """The samples and the judges of a benchmark run.

    Raises:
        UsageError: neither or both of a generator and a folder of pictures, or nothing that could judge them.
    """
    if (request.generator is None) == (request.images is None):
        raise UsageError("give either --generator or --ckpt (make the pictures) or --images (judge those of a folder)")
    suite = builder.suite(suite_spec(request.suite, request.data))
    samples = planned_samples(request, suite)
    chosen = chosen_categories(suite, request.categories)
    model = judge_model(request)
    official, notes = official_specs(suite, request, chosen, model)
    asked_officially = any(ASKED in spec for spec in official.values())
    if not asked_officially:
        request.refuse_idle_model()
    judges = {column: builder.judge(spec) for column, spec in official.items()}
    if request.judges is None and not judges and request.images is not None and suite.reward_set == WITHOUT_MODELS:
        raise UsageError(
            "--images: pictures without chains need a judge that looks at pictures; name models of the official "
            "metrics (--detector, --detections, --yes-no, --encoder, --depth), or a judge with --judges"
        )
    named = request.judges or (None if judges else suite.reward_set)
    if named is not None:
        if request.judges is None:
            notes.append(f"no --judges given: judged by the suite's reward set {suite.reward_set}")
        rewards = builder.reward_set(named, model, idle_model=asked_officially)
        return Prepared(
            request=request,
            suite=suite,
            samples=samples,
            rewards=RewardSet({**judges, **rewards.judges}, rewards.total),
            notes=notes,
        )
    return Prepared(request=request, suite=suite, samples=samples, rewards=RewardSet(judges), notes=notes)


def prepare_pictures(request: RunRequest, builder: Builder) -> Prepared:
    """The samples of a run whose pictures are made and not judged.

    Raises:
        UsageError: no generator.
    """
    if request.generator is None:
        raise UsageError(
            "name what makes the pictures: --ckpt (Janus), or --generator (see `gotr1-eval list generators`)"
        )
    suite = builder.suite(suite_spec(request.suite, request.data))
    return Prepared(request=request, suite=suite, samples=planned_samples(request, suite), rewards=RewardSet({}))


def prepare_score(request: ScoreRequest, builder: Builder) -> Prepared:
    """The samples of a manifest or folder, and who judges them.

    Raises:
        UsageError: pictures without chains, and no judge is named.
    """
    request.refuse_idle_model()
    samples = Manifest(request.source, read_columns(request.columns))
    if request.judges is None and all(sample.chain is None for sample in samples):
        raise UsageError(
            f"{request.source} holds pictures without chains, which no judge scores without a model; name judges, for "
            "example --judges prompt_image --judge-model MODEL (see gotr1-eval list judges)"
        )
    rewards = builder.reward_set(request.judges or WITHOUT_MODELS, judge_model(request))
    refuse_without_plan(samples, rewards.judges, request.source)
    return Prepared(request=request, suite=None, samples=samples, rewards=rewards)


def suite_spec(suite: str, data: Path | None = None) -> dict[str, Json]:
    """The settings of a suite, ``name`` or ``name,setting=value``; a file of prompts is the suite `prompt_file`."""
    if is_prompt_file(suite):
        return {"use": "prompt_file", "file": suite}
    spec = read_component(suite, "suite")
    return spec if data is None else {**spec, "data": str(data)}


def planned_samples(request: RunRequest, suite: Suite) -> list[Sample]:
    """Every sample that the request asks for, without chain and picture yet."""
    return list_samples(
        suite,
        chosen_categories(suite, request.categories),
        images_per_prompt=request.images_per_prompt or suite.images_per_prompt,
        limit=request.limit,
        seed=request.seed,
    )


def judge_model(request: JudgingRequest) -> Mapping[str, Json] | None:
    """The settings of the model that the request names for judges that ask; None where it names none."""
    model = request.judge_model
    return read_judge_model(model, request.reply_cache) if isinstance(model, str) else model


def foresee(prepared: Prepared, builder: Builder) -> Estimate:
    """What the run would take; nothing is loaded."""
    request = prepared.request
    named = request.generator if isinstance(request, RunRequest) else None
    budget = None if named is None else builder.token_budget(named)
    return estimate(list(prepared.samples), budget, prepared.rewards)


def execute(prepared: Prepared, builder: Builder, progress: Progress | None = None) -> Path:
    """Make and judge what is missing, on the request's engine; returns the folder of the run, or of its shard."""
    request = prepared.request
    shard = request.shard if isinstance(request, RunRequest) else None
    engine = open_engine(request.engine, builder, shard)
    job = _job(prepared, builder)
    with counted(engine.folder(job), progress or Silent(), builder.spent) as meter:
        return engine.run(job, meter)


def write_results(prepared: Prepared, folder: Path) -> tuple[list[str], Digest, Path]:
    """Write into a finished run's folder what the benchmark's official scripts write, the scores and the page.

    Returns:
        Lines that sum the official results up; what is told of the run; the page.
    """
    from reports.run_report import write_report

    official = [] if prepared.suite is None else prepared.suite.write_official(folder)
    return official, *write_report(folder, prepared.request.min_coverage)


def _job(prepared: Prepared, builder: Builder) -> Job:
    """The prepared request as an engine takes it."""
    request = prepared.request
    pictures, settings, name = _pictures(prepared, builder)
    return Job(
        folder=request.out or Path("runs", safe_name(name)),
        samples=prepared.samples,
        pictures=pictures,
        rewards=prepared.rewards,
        settings=settings,
        tile=request.tile,
        retry=request.retry,
        request=request.model_dump(mode="json", exclude_defaults=True),
    )


def _pictures(prepared: Prepared, builder: Builder) -> tuple[PictureSource, dict[str, Json], str]:
    """Where the pictures come from, the settings that decide the samples, and the name of the run."""
    request, suite = prepared.request, prepared.suite
    if suite is None or not isinstance(request, RunRequest):
        samples = prepared.samples
        if not isinstance(samples, Manifest):
            raise TypeError(f"expected the samples of a manifest, got {type(samples).__name__}")
        return GivenPictures(samples.place), {"source": samples.place}, f"score-{samples.name}"
    if request.generator is not None:
        pictures: PictureSource = GeneratedPictures(builder.generator(request.generator))
    else:
        pictures = FolderPictures(request.images or Path(), list(prepared.samples), suite.layout)
    sampling = {} if request.generator is None else builder.deciding(request.generator)
    settings: dict[str, Json] = {
        "suite": suite.name,
        "categories": [*chosen_categories(suite, request.categories)],
        "images_per_prompt": request.images_per_prompt or suite.images_per_prompt,
        "limit": request.limit,
        "seed": request.seed,
        **sampling,
    }
    return pictures, settings, f"{suite.name}-{pictures.name}-{request.seed}"


def run_benchmark(
    request: RunRequest | None = None,
    *,
    progress: bool = False,
    **settings: Any,  # noqa: ANN401 (a request's fields)
) -> RunFrames:
    """Run a benchmark, or resume it, and return the run as tables.

    Args:
        request: what is asked for; or
        progress: show a bar a stage.
        settings: the fields of a `RunRequest` and its short forms: ``suite="shapes", ckpt="tiny-janus", limit=5``.

    Raises:
        UsageError: a setting is unknown or asks for what cannot be done.
    """
    request = request or read_settings(RunRequest, settings, where="run_benchmark")
    return _finished(prepare_bench, request, progress=progress)


def score(
    request: ScoreRequest | None = None,
    *,
    progress: bool = False,
    **settings: Any,  # noqa: ANN401 (a request's fields)
) -> RunFrames:
    """Judge a manifest or a folder of pictures, or resume it, and return the run as tables; see `run_benchmark`."""
    request = request or read_settings(ScoreRequest, settings, where="score")
    return _finished(prepare_score, request, progress=progress)


def _finished(prepare: Callable[[R, Builder], Prepared], request: R, *, progress: bool) -> RunFrames:
    from reports.dataframes import load_run

    builder = Builder()
    prepared = prepare(request, builder)
    with StageBars() if progress else nullcontext(Silent()) as shown:
        folder = execute(prepared, builder, shown)
    write_results(prepared, folder)
    return load_run(folder)
