"""Commands that read finished runs: compare, regress, report, leaderboard, analyse, best-of, precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, Export, Intervals, MinCoverage, Verbose, split_names
from gotr1_eval.core.errors import RunError, UsageError

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
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="Also say whether each is not worse by more than this, in units of the score."),
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

    With --means or --published every run is laid beside known means instead: above, below, or within its own noise.
    """
    from gotr1_eval.cli.finish import command_line
    from gotr1_eval.cli.terminal import err, out
    from reports.comparison.page import write_page
    from reports.comparison.paired import compare_runs
    from reports.comparison.tables import comparison_document
    from reports.documents import check_endings, write_document
    from reports.run_data import load_run

    check_endings(export or [], [PAGE])
    if means is not None and published:
        raise UsageError("compare: --means and --published are two tables; choose one")
    if margin is not None and (means is not None or published or not margin > 0):
        raise UsageError(f"--margin {margin:g}: expected a loss that would matter, above 0, and two runs")
    if means is not None or published:
        _against_means(runs, means, judges, export or [], as_json=as_json)
        return
    if len(runs) < 2:
        raise UsageError("compare: give at least two run folders, or one and --means or --published")
    loaded = [load_run(folder) for folder in runs]
    found = [compare_runs(loaded[0], other, split_names(judges), margin) for other in loaded[1:]]
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
    from reports.comparison.tables import counts, sentence, warnings

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


def regress(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help="The run that nothing may be lost against.")],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The same prompts and seeds by what is to be checked.")],
    margin: Annotated[float, typer.Option("--margin", help="A loss that would matter, in units of the score.")] = 0.05,
    judges: Annotated[
        str | None,
        typer.Option("--judges", help="These judges, by full name or factor; the total if not given, or else all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that a quantised, cached or served model lost nothing: exit code 0 where a loss of the margin is excluded.

    1 where it is not, and 2 where so few prompts could not exclude it.
    """
    from gotr1_eval.cli.terminal import err, out
    from reports.comparison.regression import check_regression
    from reports.run_data import load_run

    found = check_regression(load_run(a), load_run(b), margin, split_names(judges))
    for note in found.notes:
        err.print(note, markup=False, soft_wrap=True)
    if as_json:
        out.print(json.dumps(found.json(), indent=2), markup=False, soft_wrap=True)
    else:
        for line in (line for one in found.judges for line in one.lines):
            out.print(line, markup=False, soft_wrap=True)
    if not found.passed:
        raise typer.Exit(1)


def _against_means(
    runs: list[Path], means: Path | None, judges: str | None, export: list[Path], *, as_json: bool
) -> None:
    """Every run beside the means of a file, or beside published ones where there is no file."""
    from gotr1_eval.cli.finish import command_line, finish_document
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


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders of training runs.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Show all samples; those beyond 200 go into report_files beside the page.")
    ] = False,
    before: Annotated[
        Path | None,
        typer.Option("--before", metavar="RUN", help="Show this run's picture and scores of the same sample beside."),
    ] = None,
    min_coverage: MinCoverage = 0.95,
    intervals: Intervals = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Write the report page of each run (also of one that is still going on) and print its table."""
    from gotr1_eval.cli.finish import show_report
    from gotr1_eval.cli.terminal import err
    from reports.run_data import load_run
    from reports.run_page.training import is_training, write_training_page
    from reports.run_report import write_report

    earlier = None if before is None else load_run(before)
    incomplete = []
    for run in runs:
        if is_training(run):
            err.print(f"report: {write_training_page(run)}", markup=False, soft_wrap=True)
            continue
        try:
            told, page = write_report(run, min_coverage, everything=everything, before=earlier)
            show_report(told, page, as_json=as_json, intervals=intervals, verbose=verbose)
        except RunError as error:
            incomplete.append(str(error))
    if incomplete:
        raise RunError("; ".join(incomplete))


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; one alone gives its summary table.")],
    judges: Annotated[
        str | None, typer.Option("--judges", help="Only these judges, by full name or factor (such as total).")
    ] = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Runs against categories: means with intervals and counts, ranks with ties within noise."""
    from gotr1_eval.cli.finish import command_line, finish_document
    from reports.comparison.leaderboard import leaderboard as make
    from reports.comparison.leaderboard import leaderboard_document
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    loaded = [load_run(folder) for folder in runs]
    boards = make(loaded, split_names(judges))
    document = leaderboard_document(loaded, boards, command_line())
    finish_document(document, export or [], as_json=as_json)


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
    from gotr1_eval.cli.finish import command_line, finish_document
    from reports.analysis.tables import analysis_document
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    loaded = [load_run(folder) for folder in runs]
    analyses = [analyse_run(run, rewards) for run in loaded]
    finish_document(analysis_document(loaded, analyses, command_line()), export or [], as_json=as_json)


def best_of(
    run: Annotated[Path, typer.Argument(help="A run with several pictures a prompt.")],
    by: Annotated[str, typer.Option("--by", help="The judge that picks, by full name or factor (such as total).")],
    against: Annotated[
        str | None, typer.Option("--against", help="The judges that watch; all others if not given.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option("--people", help="A study or a table of ratings of these samples: people watch, too.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--most", min=2, help="The greatest n; the pictures a prompt has if not given.")
    ] = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Let one judge pick the best of n pictures and see what the others say of its choice: can it be hacked?

    From the run's own samples: nothing is made, trained or judged again.
    """
    from gotr1_eval.cli.finish import command_line, finish_document
    from reports.agreement.mark_sources import read_mark_means
    from reports.analysis.best_of import best_of as make
    from reports.analysis.best_of import best_of_document
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    loaded = load_run(run)
    marks = None if people is None else read_mark_means(run, people)
    found = make(loaded, by, split_names(against), most, marks)
    finish_document(best_of_document(loaded, found, command_line()), export or [], as_json=as_json)


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
