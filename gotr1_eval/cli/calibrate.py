"""gotr1-eval calibrate: judge scores on people's scale, and a benchmark's mean corrected by people's marks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.agreement import Data, Mapping, People, Seed, Sources
from gotr1_eval.cli.options import AsJson

if TYPE_CHECKING:
    from reports.agreement.calibration import Calibration
    from reports.agreement.calibration_use import Paired
    from reports.agreement.correction import Corrected

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
    from gotr1_eval.cli.terminal import out
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
    from gotr1_eval.cli.terminal import out
    from reports.agreement.calibration import read_calibration
    from reports.agreement.calibration_use import calibrated
    from reports.agreement.correction import correct as correct_mean

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
    from reports.agreement.mark_sources import read_sources
    from reports.agreement.table_mapping import read_mapping_or_none

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
