"""gotr1-eval score: judge pictures and chains made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import (
    AsJson,
    EngineOption,
    JudgeModel,
    Judges,
    MinCoverage,
    Out,
    ReplyCache,
    Retry,
    Tile,
    judge_model_spec,
    read_engine,
    retry_reasons,
)
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name


def score(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of pictures, or a table (CSV, TSV, JSON, JSON lines, Parquet); also a folder of tables, a "
            "pattern, or a URL (s3://...)."
        ),
    ],
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", help="What the table's columns hold: prompt=caption,image=image_path (also chain, category)."
        ),
    ] = None,
    judges: Judges = None,
    judge_model: JudgeModel = None,
    reply_cache: ReplyCache = None,
    tile: Tile = None,
    engine: EngineOption = "local",
    out: Out = None,
    min_coverage: MinCoverage = 0.95,
    retry: Retry = None,
    as_json: AsJson = False,
) -> None:
    """Judge pictures and chains made elsewhere: prompt, image and chain from a manifest or from file names."""
    from benchmarks.painters import AsTheyAre
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.finish import finish
    from gotr1_eval.cli.terminal import Bars
    from gotr1_eval.files.columns import read_columns
    from gotr1_eval.manifest import Manifest
    from rewards.inputs import refuse_without_plan

    builder = Builder()
    runs = read_engine(engine, builder)
    samples = Manifest(source, read_columns(columns))
    if judges is None and all(sample.chain is None for sample in samples):
        raise UsageError(
            f"{source} holds pictures without chains, which no judge scores without a model; name judges, for example "
            "--judges prompt_image --judge-model MODEL (see gotr1-eval list judges)"
        )
    rewards = builder.reward_set(judges or "without_models", judge_model_spec(judge_model, reply_cache, judges))
    refuse_without_plan(samples, rewards.judges, source)
    folder = out or Path("runs", safe_name(f"score-{samples.name}"))
    with Bars(builder.traffic) as bars:
        runs.run(
            folder,
            samples,
            AsTheyAre(samples.place),
            rewards,
            asked={"source": samples.place},
            tile=tile,
            progress=bars,
            retry=retry_reasons(retry),
        )
    finish(folder, min_coverage=min_coverage, as_json=as_json)
