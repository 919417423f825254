"""gotr1-eval compare: is run B better than run A, or is it noise?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, split_names
from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from reports.comparison.runs import Comparison

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
    export: Annotated[
        list[Path] | None,
        typer.Option(
            "--export", help="Also write to this file: .html (with pictures), .md, .tex, .csv or .json. Repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs of the same prompts: per category better, worse, or within noise.

    With --means every run is laid beside known means instead, such as a published table: above, below, or within noise.
    """
    from gotr1_eval.cli.documents import command_line
    from gotr1_eval.cli.terminal import err, out
    from reports.comparison.document import comparison_document
    from reports.comparison.page import write_page
    from reports.comparison.runs import compare_runs
    from reports.documents import check_endings, write_document
    from reports.run_data import load_run

    check_endings(export or [], [PAGE])
    if means is not None:
        _against_means(runs, means, judges, export or [], as_json=as_json)
        return
    if len(runs) < 2:
        raise UsageError("compare: give at least two run folders, or one and a table of --means")
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
    from reports.comparison.words import counts, sentence, warnings

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


def _against_means(runs: list[Path], means: Path, judges: str | None, export: list[Path], *, as_json: bool) -> None:
    from gotr1_eval.cli.documents import command_line, finish_document
    from reports.comparison.means_table import means_document
    from reports.comparison.unpaired import against_means, read_means
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export)
    names = split_names(judges)
    if len(names) > 1:
        raise UsageError("compare: with --means name one judge at most")
    known = read_means(means)
    loaded = [load_run(folder) for folder in runs]
    found = [against_means(run, known, *names) for run in loaded]
    finish_document(means_document(loaded, found, command_line()), export, as_json=as_json)
