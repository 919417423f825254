"""gotr1-eval score: judge pictures and chains made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import (
    AsJson,
    JudgeModel,
    Judges,
    MinCoverage,
    Out,
    ReplyCache,
    Retry,
    Tile,
    judge_model_spec,
    retry_reasons,
)
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name


def score(
    source: Annotated[Path, typer.Argument(help="A folder of pictures, or a .csv, .jsonl or .parquet manifest.")],
    judges: Judges = None,
    judge_model: JudgeModel = None,
    reply_cache: ReplyCache = None,
    tile: Tile = None,
    out: Out = None,
    min_coverage: MinCoverage = 0.95,
    retry: Retry = None,
    as_json: AsJson = False,
) -> None:
    """Judge pictures and chains made elsewhere: prompt, image and chain from a manifest or from file names."""
    from benchmarks.painters import AsTheyAre
    from benchmarks.run import run_benchmark
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.finish import finish
    from gotr1_eval.cli.terminal import Bars
    from gotr1_eval.scoring import read_manifest

    samples = read_manifest(source)
    if judges is None and all(sample.chain is None for sample in samples):
        raise UsageError(
            f"{source} holds pictures without chains, which no judge scores without a model; name judges, for example "
            "--judges prompt_image --judge-model MODEL (see gotr1-eval list judges)"
        )
    builder = Builder()
    rewards = builder.reward_set(judges or "without_models", judge_model_spec(judge_model, reply_cache, judges))
    folder = out or Path("runs", safe_name(f"score-{source.absolute().stem}"))
    with Bars(builder.traffic) as bars:
        run_benchmark(
            folder,
            samples,
            AsTheyAre(source),
            rewards,
            asked={"source": str(source.absolute())},
            tile=tile,
            progress=bars,
            retry=retry_reasons(retry),
        )
    finish(folder, min_coverage=min_coverage, as_json=as_json)
