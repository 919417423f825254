"""gotr1-eval compare: is run B better than run A, or is it noise?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, split_names
from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from reports.comparison.paired import Comparison

PAGE = ".html"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; every other one is compared with the first.")],
    judges: Annotated[
        str | None, typer.Option("--judges", help="Only these judges, by full name or factor (such as total).")
    ] = None,
    means: Annotated[
        Path | None,
        typer.Option("--means", help="A CSV file of known means (model, category, score, perhaps judge): unpaired."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Lay each run's official metrics beside published scores: unpaired.")
    ] = False,
    export: Annotated[
        list[Path] | None,
        typer.Option(
            "--export", help="Also write to this file: .html (with pictures), .md, .tex, .csv or .json. Repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs of the same prompts: per category better, worse, or within noise.

    With --means or --published every run is laid beside known means instead: above, below, or within its own noise.
    """
    from gotr1_eval.cli.documents import command_line
    from gotr1_eval.cli.terminal import err, out
    from reports.comparison.document import comparison_document
    from reports.comparison.page import write_page
    from reports.comparison.paired import compare_runs
    from reports.documents import check_endings, write_document
    from reports.run_data import load_run

    check_endings(export or [], [PAGE])
    if means is not None and published:
        raise UsageError("compare: --means and --published are two tables; choose one")
    if means is not None or published:
        _against_means(runs, means, judges, export or [], as_json=as_json)
        return
    if len(runs) < 2:
        raise UsageError("compare: give at least two run folders, or one and --means or --published")
    loaded = [load_run(folder) for folder in runs]
    found = [compare_runs(loaded[0], other, split_names(judges)) for other in loaded[1:]]
    for path in export or []:
        if path.suffix == PAGE:
            write_page(loaded, found, path, command_line())
        else:
            write_document(comparison_document(loaded, found, command_line()), path)
        err.print(f"wrote {path}", markup=False, soft_wrap=True)
    if as_json:
        out.print(json.dumps([comparison.json() for comparison in found], indent=2), markup=False, soft_wrap=True)
        return
    for comparison in found:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    """Sentences, and the prompts that moved the most."""
    from gotr1_eval.cli.terminal import out
    from reports.comparison.document import counts, sentence, warnings

    out.print(f"{comparison.b} against {comparison.a}", style="bold", markup=False)
    for judge in comparison.judges:
        out.print(f"{judge.judge}", style="bold", markup=False)
        for warning in warnings(comparison, judge):
            out.print(f"  {warning}", markup=False, soft_wrap=True)
        for category, row in judge.rows.items():
            out.print(f"  {sentence(category, row)}", markup=False, soft_wrap=True)
            out.print(f"    {counts(row)}", style="dim")
        for moved in (*judge.risen, *judge.fallen):
            line = f"    {moved.difference:+.3f}  {moved.prompt[:90]!r} ({moved.identity})"
            out.print(line, style="dim", markup=False, soft_wrap=True)


def _against_means(
    runs: list[Path], means: Path | None, judges: str | None, export: list[Path], *, as_json: bool
) -> None:
    """Every run beside the means of a file, or beside published ones where there is no file."""
    from gotr1_eval.cli.documents import command_line, finish_document
    from reports.comparison.known_means import (
        RunAgainstMeans,
        against_means,
        means_document,
        published_means,
        read_means,
    )
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export)
    names = split_names(judges)
    if len(names) > 1 or (names and means is None):
        raise UsageError("compare: --means takes one judge at most, --published none: it compares official metrics")
    loaded = [load_run(folder) for folder in runs]
    if means is not None:
        known = read_means(means)
        found = [RunAgainstMeans(run, against_means(run, known, *names)) for run in loaded]
    else:
        beside = [(run, *published_means(run)) for run in loaded]
        found = [RunAgainstMeans(run, against_means(run, rows), left_out) for run, rows, left_out in beside]
    finish_document(means_document(found, command_line()), export, as_json=as_json)
