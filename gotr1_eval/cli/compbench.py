"""gotr1-eval compbench: a benchmark run, from prompts to the report."""

from __future__ import annotations

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
from gotr1_eval.cli.official import (
    DepthModel,
    Detections,
    Detector,
    EncoderModel,
    PhraseSource,
    SemanticsOption,
    YesNoModel,
    compbench_judges,
    read_models,
    with_official,
)
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
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json


def compbench(
    ckpt: Ckpt = None,
    suite: Annotated[
        str,
        typer.Option(
            help="t2i-compbench or shapes, or a .txt, .jsonl, .csv or .parquet file of prompts (pattern, URL)."
        ),
    ] = "t2i-compbench",
    data: Annotated[
        Path | None, typer.Option(help="Folder with the suite's prompt lists; by default those of `data fetch`.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Judge pictures made elsewhere, named <prompt>_<6 digits>.png.")
    ] = None,
    categories: Categories = None,
    images_per_prompt: ImagesPerPrompt = None,
    limit: Limit = None,
    detector: Detector = None,
    detections: Detections = None,
    yes_no: YesNoModel = None,
    encoder: EncoderModel = None,
    depth: DepthModel = None,
    phrases: PhraseSource = "builtin",
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
    """Generate pictures for a benchmark's prompts, judge them, write the report. The same command resumes.

    A category is scored officially as soon as its models are named; --judges adds rewards to the same samples.
    """
    from benchmarks.plan import chosen_categories, plan_samples
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.finish import finish
    from gotr1_eval.cli.terminal import err

    builder = Builder()
    generator = generator_spec(ckpt, images, guidance, chain_cap)
    prompts = builder.suite(suite_spec(suite, data))
    chosen = chosen_categories(prompts, split_names(categories))
    count = images_per_prompt or prompts.images_per_prompt
    plan = plan_samples(prompts, chosen, images_per_prompt=count, limit=limit, seed=seed)
    wanted = read_models(
        detector=detector,
        detections=detections,
        encoder=encoder,
        semantics=semantics,
        yes_no=yes_no,
        depth=depth,
        phrases=phrases,
    )
    if wanted.models and prompts.name != "t2i-compbench":
        raise UsageError(f"official metrics are T2I-CompBench's; suite {prompts.name} is judged by --judges")
    official, lines = compbench_judges(builder, wanted, chosen, data) if wanted.models else ({}, [])
    if judges is None and not official and images is not None and prompts.reward_set == "without_models":
        raise UsageError(
            "--images: pictures without chains need a judge that looks at pictures; name models of the official "
            "metrics (--detector, --detections, --yes-no, --encoder, --depth), or a judge with --judges"
        )
    model = judge_model_spec(judge_model, reply_cache, judges)
    asks = judges is not None or not official
    if judges is None and asks:
        lines.append(f"no --judges given: judged by the suite's reward set {prompts.reward_set}")
    rewards = with_official(official, builder.reward_set(judges or prompts.reward_set, model) if asks else None)
    if dry_run:
        show_dry_run(builder, generator, plan, rewards, as_json=as_json)
        return
    asked: dict[str, Json] = {
        "suite": prompts.name,
        "categories": list(chosen),
        "images_per_prompt": count,
        "limit": limit,
        "seed": seed,
    }
    folder = run_plan(
        builder,
        prompts,
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
    for line in lines:
        err.print(f"note: {line}", markup=False, soft_wrap=True)
    finish(folder, min_coverage=min_coverage, as_json=as_json)
