"""gotr1-eval generate: chains and pictures for a benchmark's prompts, or for one's own; nothing is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import (
    ChainCap,
    EngineOption,
    Guidance,
    Out,
    ShardOption,
    Tile,
    read_engine,
    split_names,
    suite_spec,
)
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.types import Json


def generate(
    ckpt: Annotated[str, typer.Option(help="A checkpoint folder, a hub repository, or tiny-janus (embedded).")],
    suite: Annotated[
        str,
        typer.Option(
            help="Whose prompts: t2i-compbench, geneval, shapes; or a .txt, .jsonl, .csv or .parquet file or pattern."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder with the suite's prompt lists; by default those of `data fetch`.")
    ] = None,
    categories: Annotated[str | None, typer.Option(help="Only these categories, separated by commas.")] = None,
    images_per_prompt: Annotated[int | None, typer.Option(min=1, help="By default the suite's own number.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many prompts of each category.")] = None,
    guidance: Guidance = None,
    chain_cap: ChainCap = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    tile: Tile = None,
    shard: ShardOption = None,
    engine: EngineOption = "local",
    layout: Annotated[
        str | None,
        typer.Option(help="Also write the pictures as the official evaluator reads them: t2i-compbench or geneval."),
    ] = None,
    out: Out = None,
) -> None:
    """Generate chains and pictures into a run folder, resumable. `compbench` with the same --out then judges them."""
    from benchmarks.layouts import paths_of, read_layout, write_layout
    from benchmarks.painters import GeneratorPainter
    from benchmarks.plan import chosen_categories, plan_samples
    from benchmarks.shards import expected_of
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import Bars, err
    from gotr1_eval.core.runs import read_info, read_samples
    from rewards.reward_set import RewardSet

    official = None if layout is None else read_layout(layout)
    builder = Builder()
    runs = read_engine(engine, builder, shard)
    sampling: dict[str, Json] = {"guidance": guidance, "chain_cap": chain_cap}
    given = {option: value for option, value in sampling.items() if value is not None}
    prompts = builder.suite(suite_spec(suite, data))
    chosen = chosen_categories(prompts, split_names(categories))
    count = images_per_prompt or prompts.images_per_prompt
    plan = plan_samples(prompts, chosen, images_per_prompt=count, limit=limit, seed=seed)
    if official is not None:
        paths_of(official, plan)  # refuses what the layout cannot hold before anything is painted
    asked: dict[str, Json] = {
        "suite": prompts.name, "categories": list(chosen), "images_per_prompt": count, "limit": limit, "seed": seed,
    }  # fmt: skip
    painter = GeneratorPainter(builder.generator({"use": "janus", "ckpt": ckpt, **given}))
    folder = out or Path("runs", safe_name(f"{prompts.name}-{painter.name}-{seed}"))
    with Bars() as bars:
        folder = runs.run(folder, plan, painter, RewardSet({}), asked=asked, tile=tile, progress=bars)
    count = sum(expected_of(read_info(folder)).values())
    err.print(f"{count} samples in {folder}", markup=False, soft_wrap=True)
    if official is not None:
        written = write_layout(official, plan, list(read_samples(folder).values()), folder / official)
        err.print(f"{written} pictures in {folder / official}", markup=False, soft_wrap=True)
