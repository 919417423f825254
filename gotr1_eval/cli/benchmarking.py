"""What every benchmark command does between reading its options and writing its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import read_engine, retry_reasons
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.types import Json, Sample

if TYPE_CHECKING:
    from benchmarks.painters import Painter
    from gotr1_eval.build import Builder
    from gotr1_eval.core.protocols import Suite
    from rewards.reward_set import RewardSet

Ckpt = Annotated[
    str | None,
    typer.Option("--ckpt", help="The generator: a checkpoint folder, a hub repository, or tiny-janus (embedded)."),
]
Categories = Annotated[str | None, typer.Option("--categories", help="Only these categories, separated by commas.")]
ImagesPerPrompt = Annotated[
    int | None, typer.Option("--images-per-prompt", min=1, help="By default the suite's own number.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only so many prompts of each category.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the run would take, and stop.")]


def generator_spec(
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


def run_plan(
    builder: Builder,
    suite: Suite,
    plan: Sequence[Sample],
    rewards: RewardSet,
    *,
    generator: dict[str, Json] | None,
    images: Path | None,
    asked: dict[str, Json],
    seed: int,
    out: Path | None,
    tile: int | None,
    shard: str | None,
    engine: str,
    retry: str | None,
) -> Path:
    """Generate and judge, or resume; returns the folder of the run, or of its part."""
    from gotr1_eval.cli.terminal import Bars

    runs = read_engine(engine, builder, shard)
    painter = _painter(builder, generator, images, plan)
    folder = out or Path("runs", safe_name(f"{suite.name}-{painter.name}-{seed}"))
    sampling = {option: generator[option] for option in ("guidance", "chain_cap") if generator and option in generator}
    with Bars(builder.traffic) as bars:
        return runs.run(
            folder,
            plan,
            painter,
            rewards,
            asked=asked | sampling,
            tile=tile,
            progress=bars,
            retry=retry_reasons(retry),
        )


def _painter(
    builder: Builder, generator: dict[str, Json] | None, images: Path | None, plan: Sequence[Sample]
) -> Painter:
    from benchmarks.painters import FolderPainter, GeneratorPainter

    if generator is not None:
        return GeneratorPainter(builder.generator(generator))
    return FolderPainter(images or Path(), plan)


def show_dry_run(
    builder: Builder,
    generator: dict[str, Json] | None,
    plan: Sequence[Sample],
    rewards: RewardSet,
    *,
    as_json: bool,
) -> None:
    """What the run would take, on stdout."""
    from benchmarks.estimate import estimate
    from gotr1_eval.cli.terminal import show_estimate

    budget = builder.token_budget(generator) if generator is not None else None
    show_estimate(estimate(plan, budget, rewards), as_json=as_json)
