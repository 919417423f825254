"""gotr1-eval compbench: a benchmark run, from prompts to the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import (
    AsJson,
    ChainCap,
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
    retry_reasons,
    split_names,
    suite_spec,
)
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.types import Json

if TYPE_CHECKING:
    from benchmarks.painters import Painter
    from gotr1_eval.build import Builder


def compbench(
    ckpt: Annotated[
        str | None, typer.Option(help="The generator: a checkpoint folder, a hub repository, or tiny-janus (embedded).")
    ] = None,
    suite: Annotated[
        str, typer.Option(help="t2i-compbench or shapes, or a .txt or .jsonl file of prompts.")
    ] = "t2i-compbench",
    data: Annotated[Path | None, typer.Option(help="Folder with the suite's prompt lists.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Judge pictures made elsewhere, named <prompt>_<6 digits>.png.")
    ] = None,
    categories: Annotated[str | None, typer.Option(help="Only these categories, separated by commas.")] = None,
    images_per_prompt: Annotated[int | None, typer.Option(min=1, help="By default the suite's own number.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many prompts of each category.")] = None,
    judges: Judges = None,
    judge_model: JudgeModel = None,
    reply_cache: ReplyCache = None,
    guidance: Guidance = None,
    chain_cap: ChainCap = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    tile: Tile = None,
    shard: ShardOption = None,
    out: Out = None,
    min_coverage: MinCoverage = 0.95,
    retry: Retry = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run would take, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Generate pictures for a benchmark's prompts, judge them, write the report. The same command resumes."""
    from benchmarks.estimate import estimate
    from benchmarks.plan import chosen_categories, plan_samples
    from benchmarks.run import run_benchmark
    from benchmarks.shards import read_shard
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.finish import finish
    from gotr1_eval.cli.terminal import Bars, show_estimate

    builder = Builder()
    generator = _generator(ckpt, images, guidance, chain_cap)
    prompts = builder.suite(suite_spec(suite, data))
    chosen = chosen_categories(prompts, split_names(categories))
    count = images_per_prompt or prompts.images_per_prompt
    plan = plan_samples(prompts, chosen, images_per_prompt=count, limit=limit, seed=seed)
    if judges is None and images is not None and prompts.reward_set == "without_models":
        raise UsageError("--images: pictures without chains need a judge that looks at pictures; name it with --judges")
    rewards = builder.reward_set(judges or prompts.reward_set, judge_model_spec(judge_model, reply_cache))
    if dry_run:
        budget = builder.token_budget(generator) if generator is not None else None
        show_estimate(estimate(plan, budget, rewards), as_json=as_json)
        return
    asked: dict[str, Json] = {
        "suite": prompts.name,
        "categories": list(chosen),
        "images_per_prompt": count,
        "limit": limit,
        "seed": seed,
    }
    painter = _painter(builder, generator, images)
    folder = out or Path("runs", safe_name(f"{prompts.name}-{painter.name}-{seed}"))
    with Bars() as bars:
        folder = run_benchmark(
            folder, plan, painter, rewards,
            asked=asked, tile=tile, shard=read_shard(shard), progress=bars, retry=retry_reasons(retry),
        )  # fmt: skip
    finish(folder, min_coverage=min_coverage, as_json=as_json)


def _generator(
    ckpt: str | None, images: Path | None, guidance: float | None, chain_cap: int | None
) -> dict[str, Json] | None:
    """The generator's settings, or None when the pictures exist already.

    Raises:
        UsageError: neither or both of --ckpt and --images.
    """
    if (ckpt is None) == (images is None):
        raise UsageError("give either --ckpt (generate the pictures) or --images (judge those of a folder)")
    sampling: dict[str, Json] = {"guidance": guidance, "chain_cap": chain_cap}
    given = {option: value for option, value in sampling.items() if value is not None}
    if ckpt is not None:
        return {"use": "janus", "ckpt": ckpt, **given}
    if given:
        names = ", ".join(f"--{option.replace('_', '-')}" for option in given)
        raise UsageError(f"{names}: the pictures of --images are painted already")
    return None


def _painter(builder: Builder, generator: dict[str, Json] | None, images: Path | None) -> Painter:
    from benchmarks.painters import FolderPainter, GeneratorPainter

    if generator is not None:
        return GeneratorPainter(builder.generator(generator))
    return FolderPainter(images or Path())
