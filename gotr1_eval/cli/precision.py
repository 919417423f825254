"""gotr1-eval precision: how many pictures a prompt a run would need for means as exact as one wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import AsJson
from gotr1_eval.core.errors import UsageError


def precision(
    run: Annotated[Path, typer.Argument(help="A finished run, or a pilot with two or more pictures a prompt.")],
    half_width: Annotated[
        float, typer.Option("--half-width", help="Of the 95 % interval that is wanted, such as 0.01.")
    ] = 0.01,
    prompts: Annotated[
        int | None,
        typer.Option(min=2, help="Prompts of each category in the run you plan; by default as many as here."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say for every mean of a run how many pictures a prompt make it exact, or that more prompts are needed."""
    from gotr1_eval.cli.terminal import out
    from reports.precision import plan_run
    from reports.run_data import load_run

    if not half_width > 0:
        raise UsageError(f"--half-width {half_width:g}: expected a number above 0, such as 0.01")
    planned = list(plan_run(load_run(run), prompts))
    if not planned:
        raise UsageError(f"{run}: nothing is scored there, so that there is nothing to plan by")
    if as_json:
        out.print(json.dumps([mean.json(half_width) for mean in planned], indent=2), markup=False, soft_wrap=True)
        return
    for mean in planned:
        out.print(f"{mean.row}: {mean.judge.name}", style="bold", markup=False, soft_wrap=True)
        for line in mean.sentences(half_width):
            out.print(f"  {line}", markup=False, soft_wrap=True)
