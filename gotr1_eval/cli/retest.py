"""gotr1-eval retest: does a judge give the same sample the same score again?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import JudgeModel, judge_model_spec


def retest(
    run: Annotated[Path, typer.Argument(help="A run that the judges have judged.")],
    judges: Annotated[str, typer.Option("--judges", "--judge", help="Judges or a reward set, as the run was judged.")],
    judge_model: JudgeModel = None,
    times: Annotated[int, typer.Option(min=1, help="How often each sample is judged again.")] = 1,
    items: Annotated[
        int | None, typer.Option("--items", "-n", min=1, help="So many samples; all if not given.")
    ] = None,
) -> None:
    """Judge a run's samples again, never from a cache, and show how far the judges agree with themselves."""
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.agreement_table import show_retest
    from gotr1_eval.cli.terminal import Bars
    from gotr1_eval.runs.retest import repeated_spec
    from gotr1_eval.runs.retest import retest as judge_again

    builder = Builder()
    specs = builder.judge_specs(judges, judge_model_spec(judge_model, judges))
    repeats = {
        repeat: [builder.judge(repeated_spec(spec, repeat)) for spec in specs.values()]
        for repeat in range(1, times + 1)
    }
    with Bars() as bars:
        judge_again(run, repeats, items=items, progress=bars)
    show_retest(run)
