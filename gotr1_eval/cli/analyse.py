"""gotr1-eval analyse: what makes a run's reward, from its judgments alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.options import AsJson, Export


def analyse(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several are also ranked by every total.")],
    rewards: Annotated[
        str | None,
        typer.Option("--rewards", help="Take this reward set's total for the run's own: a name or a .toml file."),
    ] = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Take a run's reward apart: its factors, which of them decides, other rules, what plans have to do with it.

    Nothing is judged again.
    """
    from gotr1_eval.analysis import analyse_run
    from gotr1_eval.cli.documents import command_line, finish_document
    from reports.analysis.tables import analysis_document
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    loaded = [load_run(folder) for folder in runs]
    analyses = [analyse_run(run, rewards) for run in loaded]
    finish_document(analysis_document(loaded, analyses, command_line()), export or [], as_json=as_json)
