"""gotr1-eval agreement, retest and calibrate: do judges agree with people and with themselves, and on whose scale?"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gotr1_eval.cli.options import AsJson, JudgeModel, Quiet, judge_model_spec, split_names
from gotr1_eval.cli.terminal import err, out
from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from reports.agreement.analysis import Agreement
    from reports.agreement.calibration import Calibration
    from reports.agreement.calibration_use import Corrected, Paired
    from reports.agreement.grids import Cell, Grid


Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="JUDGED|RATINGS",
        help="A run or a table of scores, then a study or tables of ratings. A study alone, or a run alone, will do.",
    ),
]
Mapping = Annotated[Path | None, typer.Option("--mapping", help="A TOML file that says what the tables' columns mean.")]
Data = Annotated[
    Path | None, typer.Option("--data", help="What the mapping's paths are relative to; its own folder if not given.")
]
People = Annotated[
    Literal["mean", "majority"], typer.Option("--people", help="What is made of several people's marks of one item.")
]
Draws = Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0 gives no intervals.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides the bootstrap's draws.")]
WIDE = 160
"""Columns of a table that goes to a file or a pipe."""
MOST_LINES = 20
"""Marks left out that are named one by one; --json and --out name all."""


def agreement(
    sources: Sources = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    average: Annotated[
        Literal["fisher", "tanh_of_mean"],
        typer.Option(
            help="How correlations are averaged over categories: Fisher's transform, or as VIEScore's tables are."
        ),
    ] = "fisher",
    draws: Draws = 1000,
    seed: Seed = 0,
    units: Annotated[
        str | None,
        typer.Option(
            "--units",
            help="How many items' pairs the pairwise accuracy compares at most, or all; 5000 (1000 between judges) if "
            "not given. All other numbers are of all items.",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Against labels of 0 and 1: a score from it on is a verdict of 1.")
    ] = 0.5,
    family: Annotated[
        list[str] | None,
        typer.Option(
            "--family",
            metavar="JUDGE=SYSTEM,...",
            help="Systems of a judge's own family: does it favour them? Repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for agreement.html, .json, .md and .tex; none by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold judges against people: coefficients with intervals, and what people's own agreement allows."""
    from reports.agreement.analysis import Options, analyse
    from reports.agreement.foreign_tables.mapping import read_mapping_or_none
    from reports.agreement.mark_sources import read_sources

    if not math.isfinite(threshold):
        raise UsageError(f"--threshold {threshold}: expected a number")
    read = read_sources(sources or [], *read_mapping_or_none(mapping, data))
    options = Options(
        people=people,
        average=average,
        draws=draws,
        seed=seed,
        units=_units(units),
        threshold=threshold,
        families=dict(map(_family, family or [])),
    )
    found = analyse(read.people, read.judges, options)
    show_agreement(found, as_json=as_json)
    if out is not None:
        from reports.agreement.page import write_agreement

        err.print(f"page: {write_agreement(found, out)}", markup=False, soft_wrap=True)


def _units(text: str | None) -> int | Literal["all"] | None:
    """What --units says.

    Raises:
        UsageError: neither ``all`` nor a whole number from 2.
    """
    if text is None or text == "all":
        return "all" if text else None
    if not text.isdecimal() or int(text) < 2:
        raise UsageError(f"--units {text}: expected all, or a whole number from 2")
    return int(text)


def _family(text: str) -> tuple[str, list[str]]:
    """A judge and its systems, as --family says.

    Raises:
        UsageError: one of them is missing.
    """
    judge, _, systems = text.partition("=")
    names = split_names(systems)
    if not judge or not names:
        raise UsageError(f"--family {text}: expected a judge and systems, such as gpt-4o=gpt-image-1,dall-e-3")
    return judge, names


def show_agreement(agreement: Agreement, *, as_json: bool) -> None:
    """The tables on stdout, and below them what was counted and left out."""
    from reports.agreement.analysis import agreement_json
    from reports.agreement.tables import grids

    if as_json:
        text = json.dumps(agreement_json(agreement), indent=2, ensure_ascii=False, allow_nan=False)
        out.print(text, markup=False, soft_wrap=True)
        return
    for grid in grids(agreement):
        show_grid(grid)
    for note in agreement.notes:
        out.print(note, style="dim", markup=False, soft_wrap=True)
    for line in agreement.left_out[:MOST_LINES]:
        err.print(f"left out: {line}", markup=False, soft_wrap=True)
    if len(agreement.left_out) > MOST_LINES:
        err.print(f"left out: {len(agreement.left_out) - MOST_LINES} more (--json names all)", markup=False)


def retest(
    run: Annotated[Path, typer.Argument(help="A run that the judges have judged.")],
    judges: Annotated[str, typer.Option("--judges", "--judge", help="Judges or a reward set, as the run was judged.")],
    judge_model: JudgeModel = None,
    times: Annotated[int, typer.Option(min=1, help="How often each sample is judged again.")] = 1,
    items: Annotated[
        int | None, typer.Option("--items", "-n", min=1, help="So many samples; all if not given.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Judge a run's samples again, never from a cache, and show how far the judges agree with themselves."""
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import Bars, hushed
    from gotr1_eval.runs.costs import counted
    from gotr1_eval.runs.retest import repeated_spec
    from gotr1_eval.runs.retest import retest as judge_again

    builder = Builder()
    specs = builder.judge_specs(judges, judge_model_spec(judge_model, judges))
    repeats = {
        repeat: [builder.judge(repeated_spec(spec, repeat)) for spec in specs.values()]
        for repeat in range(1, times + 1)
    }
    with hushed(quiet), Bars(builder.traffic) as bars, counted(run, bars, builder.spent) as meter:
        judge_again(run, repeats, items=items, progress=meter)
    _show_retest(run)


def _show_retest(run: Path) -> None:
    """How far the judges of a run agree with themselves."""
    from reports.agreement.analysis import Options, analyse
    from reports.agreement.mark_sources import read_run
    from reports.agreement.marks import Marks
    from reports.agreement.tables import retest_grid

    found = analyse(Marks(), read_run(run), Options())
    show_grid(retest_grid(found.retest))


def show_grid(grid: Grid) -> None:
    """A table on stdout, as wide as the terminal or as a file takes it."""
    wide = out if out.is_terminal else Console(highlight=False, width=WIDE)
    for text, style in ((grid.title, "bold"), (grid.lead, "dim")):
        out.print(text, style=style, markup=False, soft_wrap=True)
    wide.print(_table(grid))
    out.print()


def _table(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(grid.header):
        table.add_column(Text(name), justify="left" if place < grid.names else "right", overflow="fold")
    for row in grid.rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(cell: Cell) -> Text:
    text = Text(cell.text)
    for line in cell.small:
        text.append(f"\n{line}", style="dim")
    return text


calibrate = typer.Typer(help="Put a judge on people's scale, and correct a benchmark's mean by people's marks.")
Judge = Annotated[
    str | None, typer.Option("--judge", help="Which judge; its name up to the bracket will do. May be left out if one.")
]
Dimension = Annotated[
    str | None, typer.Option("--dimension", help="Which of people's dimensions. May be left out if there is one.")
]


@calibrate.command("fit")
def fit(
    out: Annotated[Path, typer.Option("--out", help="The calibration's file; its stem is the calibration's name.")],
    sources: Sources = None,
    judge: Judge = None,
    dimension: Dimension = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Fit on this share of the prompts, and keep the others to correct.")
    ] = 1.0,
    seed: Seed = 0,
) -> None:
    """Fit a rising map from a judge's score to people's mark, and say what it gains on prompts that it has not seen."""
    from gotr1_eval.cli.terminal import out as terminal
    from reports.agreement.calibration import fit as fit_map
    from reports.agreement.calibration import write_calibration

    paired = _paired(sources, mapping, data, judge, dimension, people)
    found = fit_map(
        paired.pairs.share(share, seed), name=out.stem, judge=paired.judge, dimension=paired.dimension, seed=seed
    )
    write_calibration(found, out)
    for line in _fit_lines(found):
        terminal.print(line, markup=False, soft_wrap=True)


@calibrate.command("apply")
def apply(
    calibration: Annotated[Path, typer.Argument(help="A file that `calibrate fit` wrote.")],
    run: Annotated[Path, typer.Argument(help="A run with the judge that it was fitted for.")],
) -> None:
    """Add the calibrated judge to a run; tables, comparisons and agreement know it then by its own name."""
    from reports.agreement.calibration import read_calibration
    from reports.agreement.calibration_use import apply_to_run

    found = read_calibration(calibration)
    count = apply_to_run(found, run)
    out.print(f"{found.judge_name}: {count} scores added to {run}", markup=False, soft_wrap=True)


@calibrate.command("correct")
def correct(
    sources: Sources = None,
    judge: Judge = None,
    dimension: Dimension = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="Calibrate the scores first; its own items are left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The mean mark that people would give to all samples, from the judge's scores and a sample of people's marks."""
    from reports.agreement.calibration import read_calibration
    from reports.agreement.calibration_use import calibrated
    from reports.agreement.calibration_use import correct as correct_mean

    paired = _paired(sources, mapping, data, judge, dimension, people)
    if calibration is not None:
        paired = calibrated(paired, read_calibration(calibration))
    found = correct_mean(paired.population, paired.pairs, paired.left_out)
    if as_json:
        out.print(json.dumps(asdict(found), indent=2), markup=False)
        return
    for line in _corrected_lines(paired, found):
        out.print(line, markup=False, soft_wrap=True)


def _paired(
    sources: list[Path] | None,
    mapping: Path | None,
    data: Path | None,
    judge: str | None,
    dimension: str | None,
    by: str,
) -> Paired:
    from reports.agreement.calibration_use import pair
    from reports.agreement.foreign_tables.mapping import read_mapping_or_none
    from reports.agreement.mark_sources import read_sources

    return pair(read_sources(sources or [], *read_mapping_or_none(mapping, data)), judge, dimension, by)


def _fit_lines(found: Calibration) -> list[str]:
    corners = ", ".join(f"{score:.3g}: {mark:.3g}" for score, mark in zip(found.scores, found.marks, strict=True))
    lines = [f"{found.name}: {found.judge} on {found.dimension}, {len(found.items)} items", f"score: mark  {corners}"]
    if found.gain is None:
        return [*lines, "error on unseen prompts: unknown, too few different scores"]
    gain = found.gain
    return [
        *lines,
        f"root mean squared error on unseen prompts ({gain.folds} folds): {gain.isotonic:.3f}; of a straight line "
        f"{gain.line:.3f}, of the mean alone {gain.mean:.3f}",
    ]


def _corrected_lines(paired: Paired, found: Corrected) -> list[str]:
    rated = f"{found.rated} rated samples of {found.prompts} prompts"
    lost = [f"{paired.lost} rated samples have no score and do not count"] if paired.lost else []
    own = [f"{found.left_out} rated samples belong to the calibration and do not count"] if found.left_out else []
    worth = f"; with it a rating is worth {found.worth:.2f}" if found.worth is not None else ""
    return [
        f"{paired.judge} on {paired.dimension}: {found.population} scored samples, {rated}",
        f"corrected mean {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]",
        f"people alone   {found.people:.4f} [{found.people_low:.4f}, {found.people_high:.4f}]",
        f"judge alone    {found.judge:.4f}, trusted with slope {found.slope:.3f}{worth}",
        *lost,
        *own,
    ]
