"""gotr1-eval report: the page of a run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import AsJson, MinCoverage
from gotr1_eval.core.errors import RunError


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders of training runs.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Show all samples; those beyond 200 go into report_files beside the page.")
    ] = False,
    min_coverage: MinCoverage = 0.95,
    as_json: AsJson = False,
) -> None:
    """Write the report page of each run (also of one that is still going on) and print its table."""
    from gotr1_eval.cli.finish import finish
    from gotr1_eval.cli.terminal import err
    from reports.run_page.training import is_training, write_training_page

    incomplete = []
    for run in runs:
        if is_training(run):
            err.print(f"report: {write_training_page(run)}", markup=False, soft_wrap=True)
            continue
        try:
            finish(run, min_coverage=min_coverage, as_json=as_json, everything=everything)
        except RunError as error:
            incomplete.append(str(error))
    if incomplete:
        raise RunError("; ".join(incomplete))
