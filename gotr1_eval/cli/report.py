"""gotr1-eval report: the page of a run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import AsJson, MinCoverage


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    min_coverage: MinCoverage = 0.95,
    as_json: AsJson = False,
) -> None:
    """Write the report page of a run (also of one that is still going on) and print its table."""
    from gotr1_eval.cli.finish import finish

    finish(run, min_coverage=min_coverage, as_json=as_json)
