"""gotr1-eval demo: the whole path on the embedded world, in minutes on a laptop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", help="The run folder.")] = Path("runs/demo"),
    limit: Annotated[int, typer.Option(min=1, help="Prompts of each category.")] = 10,
) -> None:
    """Paint held-out shapes prompts with the embedded tiny Janus, judge chains and pictures, write the report."""
    from gotr1_eval.cli.bench import run_suite
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.runs.request import RunRequest

    err.print("The demo runs the embedded world of shapes; its numbers say nothing about real pictures.")
    generator = {"use": "janus", "ckpt": "tiny-janus", "guidance": 2.0}
    run_suite(RunRequest(suite="shapes", generator=generator, limit=limit, out=out))
    err.print(f"Open {out / 'report.html'} in a browser.", markup=False, soft_wrap=True)
