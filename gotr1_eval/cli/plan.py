"""gotr1-eval plan: what a run on many GPUs would take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, split_names
from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from gotr1_eval.planning.plan import Plan

_UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def plan(
    images: Annotated[int | None, typer.Option(min=1, help="Judge so many pictures.")] = None,
    train: Annotated[str | None, typer.Option(help="Train by GRPO: janus-pro-1b or janus-pro-7b.")] = None,
    judge: Annotated[str, typer.Option(help="The judge's model: qwen2.5-vl-3b, -7b, -32b or -72b.")] = "qwen2.5-vl-7b",
    judges: Annotated[
        str | None,
        typer.Option(help="What it is asked: semantic, spatial, reasoning_image, prompt_image, or paper for all."),
    ] = None,
    gpu: Annotated[str, typer.Option(help="h200, h100, a100 or l40s.")] = "h100",
    gpus: Annotated[int, typer.Option(min=1, help="That judge, or train.")] = 8,
    judge_gpus: Annotated[int, typer.Option(min=1, help="That judge beside those that train.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Of training.")] = 1000,
    prompts: Annotated[int, typer.Option(min=1, help="A step.")] = 8,
    samples: Annotated[int, typer.Option(min=1, help="A prompt.")] = 16,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Another assumption: --set chain_tokens=200 --set read_share=0.5")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """FLOPs, bytes, judge calls, seconds and GPU-hours, from a model of costs whose assumptions are printed with it."""
    from gotr1_eval.cli.train import with_changes
    from gotr1_eval.planning.assumptions import Assumptions
    from gotr1_eval.planning.plan import plan_judging, plan_training
    from gotr1_eval.settings import read_settings

    if (images is None) == (train is None):
        raise UsageError("give either --images (so many pictures to judge) or --train (a model to train)")
    given = read_settings(Assumptions, with_changes({}, changes or ()), where="--set")
    if images is not None:
        found = plan_judging(images, judge, split_names(judges or "prompt_image"), gpu, gpus, given)
    else:
        asked = split_names(judges or "paper")
        found = plan_training(
            str(train), judge, asked, steps=steps, prompts=prompts, group=samples, gpu=gpu, gpus=gpus,
            judge_gpus=judge_gpus, given=given,
        )  # fmt: skip
    if as_json:
        from gotr1_eval.cli.terminal import out

        out.print(json.dumps(found.json(), indent=2), markup=False, soft_wrap=True)
        return
    _show(found)


def _show(found: Plan) -> None:
    from rich.table import Table

    from gotr1_eval.cli.terminal import out

    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("one step" if found.steps > 1 else "phase", no_wrap=True)
    for name in ("FLOPs", "bytes moved", "judge calls", "GPU-seconds", "share"):
        grid.add_column(name, justify="right")
    whole = sum(row.seconds for row in found.rows)
    for row in found.rows:
        calls = f"{row.calls:,.0f}" if row.calls else ""
        moved = amount(row.moved) if row.moved else ""
        share = f"{row.seconds / whole:.0%}"
        grid.add_row(row.name, amount(row.flops), moved, calls, f"{row.seconds:,.1f}", share)
    out.print(found.title, markup=False, soft_wrap=True)
    out.print(grid)
    told = f"in all: {amount(found.flops)}FLOPs, {found.calls:,.0f} judge calls, {_time(found.seconds)}, "
    out.print(told + f"{found.gpu_hours:,.1f} GPU-hours ({found.gpus} GPUs held)", markup=False, soft_wrap=True)
    for name, value in found.bytes.items():
        out.print(f"{name}: {amount(value)}B", markup=False, soft_wrap=True)
    assumed = ", ".join(f"{name}={_plain(value)}" for name, value in found.assumed.items())
    out.print(f"assumed (change with --set): {assumed}", markup=False, soft_wrap=True, style="dim")
    out.print("not in it: network, start-up, restarts, loading pictures", markup=False, soft_wrap=True, style="dim")


def amount(value: float) -> str:
    """Three digits and a unit: 1.25 T."""
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} "


def _time(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
