"""gotr1-eval leaderboard: several runs in one table, with ranks that respect noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import AsJson, Export, split_names


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; one alone gives its summary table.")],
    judges: Annotated[
        str | None, typer.Option("--judges", help="Only these judges, by full name or factor (such as total).")
    ] = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Runs against categories: means with intervals and counts, ranks with ties within noise."""
    from gotr1_eval.cli.documents import command_line, finish_document
    from reports.comparison.leaderboard import leaderboard as make
    from reports.comparison.leaderboard import leaderboard_document
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    loaded = [load_run(folder) for folder in runs]
    boards = make(loaded, split_names(judges))
    document = leaderboard_document(loaded, boards, command_line())
    finish_document(document, export or [], as_json=as_json)
