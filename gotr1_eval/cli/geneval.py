"""gotr1-eval geneval: GenEval, from prompts or pictures to the official numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.benchmarking import (
    Categories,
    Ckpt,
    DryRun,
    ImagesPerPrompt,
    Limit,
    Seed,
    generator_spec,
    run_plan,
    show_dry_run,
)
from gotr1_eval.cli.official import Detections, Detector, EncoderModel, SemanticsOption, read_models, with_official
from gotr1_eval.cli.options import (
    AsJson,
    ChainCap,
    EngineOption,
    Guidance,
    JudgeModel,
    Judges,
    MinCoverage,
    Out,
    ReplyCache,
    Retry,
    ShardOption,
    Tile,
    judge_model_spec,
    split_names,
    suite_spec,
)
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.types import Json

COLUMN = "official_geneval"


def geneval(
    ckpt: Ckpt = None,
    data: Annotated[
        Path | None,
        typer.Option(help="evaluation_metadata.jsonl, or its folder; by default that of `data fetch`."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Judge pictures made elsewhere: <5 digits>/metadata.jsonl and samples/.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Only sum up this official results.jsonl.")] = None,
    categories: Categories = None,
    images_per_prompt: ImagesPerPrompt = None,
    limit: Limit = None,
    detector: Detector = None,
    detections: Detections = None,
    encoder: EncoderModel = None,
    semantics: SemanticsOption = "reference",
    judges: Judges = None,
    judge_model: JudgeModel = None,
    reply_cache: ReplyCache = None,
    guidance: Guidance = None,
    chain_cap: ChainCap = None,
    seed: Seed = 0,
    tile: Tile = None,
    shard: ShardOption = None,
    engine: EngineOption = "local",
    out: Out = None,
    min_coverage: MinCoverage = 0.95,
    retry: Retry = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Generate or read GenEval's pictures and judge them officially. The same command resumes.

    Besides the report, the run folder gets results.jsonl in the official form and summary.json.
    """
    from benchmarks.plan import chosen_categories, plan_samples
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.finish import finish

    if results is not None:
        _sum_up(results, data, images_per_prompt, as_json=as_json)
        return
    builder = Builder()
    generator = generator_spec(ckpt, images, guidance, chain_cap)
    suite = builder.suite(suite_spec("geneval", data))
    chosen = chosen_categories(suite, split_names(categories))
    count = images_per_prompt or suite.images_per_prompt
    plan = plan_samples(suite, chosen, images_per_prompt=count, limit=limit, seed=seed)
    wanted = read_models(detector=detector, detections=detections, encoder=encoder, semantics=semantics)
    if "detector" not in wanted.models:
        raise UsageError("geneval needs --detector (see `gotr1-eval list detectors`) or --detections FILE")
    judge = builder.judge({"use": "geneval", "semantics": wanted.semantics, **wanted.models})
    model = judge_model_spec(judge_model, reply_cache, judges)
    rewards = with_official({COLUMN: judge}, builder.reward_set(judges, model) if judges else None)
    if dry_run:
        show_dry_run(builder, generator, plan, rewards, as_json=as_json)
        return
    asked: dict[str, Json] = {
        "suite": suite.name,
        "categories": list(chosen),
        "images_per_prompt": count,
        "limit": limit,
        "seed": seed,
    }
    folder = run_plan(
        builder,
        suite,
        plan,
        rewards,
        generator=generator,
        images=images,
        asked=asked,
        seed=seed,
        out=out,
        tile=tile,
        shard=shard,
        engine=engine,
        retry=retry,
    )
    _write_official(folder, judge.name)
    finish(folder, min_coverage=min_coverage, as_json=as_json)


def _sum_up(results: Path, data: Path | None, pictures: int | None, *, as_json: bool) -> None:
    """Print the summary of an official file; what is missing in it goes to stderr."""
    from benchmarks.geneval import GenEvalSuite
    from benchmarks.geneval.metadata import read_tasks
    from benchmarks.geneval.results import gap_lines, read_results, summarise_results
    from gotr1_eval.cli.terminal import err, out

    read = read_results(results)
    summary = summarise_results(read.results)
    if summary is None:
        raise DataError("no verdict in this file", path=results)
    for line in gap_lines(read, None if data is None else read_tasks(GenEvalSuite(data).path), pictures):
        err.print(f"note: {results}: {line}", markup=False, soft_wrap=True)
    out.print(json.dumps(summary.json(), indent=2) if as_json else str(summary), markup=False, soft_wrap=True)


def _write_official(folder: Path, judge: str) -> None:
    """results.jsonl and summary.json; the official numbers go to stderr, since --json keeps stdout for the table."""
    from benchmarks.geneval.results import summarise_results, write_results
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.core.runs import write_atomically
    from reports.run_data import load_run

    run = load_run(folder)
    verdicts = write_results(list(run.samples.values()), run.outcomes[judge], folder / "results.jsonl")
    if (summary := summarise_results(verdicts)) is not None:
        write_atomically(folder / "summary.json", json.dumps({"judge": judge, **summary.json()}, indent=2) + "\n")
        err.print(f"{judge}\n{summary}", markup=False, soft_wrap=True)
