"""gotr1-eval study: which samples should people rate?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import split_names
from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from reports.agreement.study_folder import Study

RATERS = (1, 2, 3, 5)


def study(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several models may be studied at once.")],
    out: Annotated[Path, typer.Option("--out", help="The study's folder.")],
    items: Annotated[int, typer.Option("--items", "-n", min=1, help="Items to draw.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Decides the draw.")] = 0,
    by: Annotated[
        str | None, typer.Option("--by", help="The judge whose score ranges are balanced; the total by default.")
    ] = None,
    ranges: Annotated[int, typer.Option(min=1, max=20, help="Score ranges within each category.")] = 4,
    dimensions: Annotated[
        str | None,
        typer.Option("--dimensions", help="What people rate, separated by commas; all the judges' by default."),
    ] = None,
    rubric: Annotated[
        list[str] | None,
        typer.Option("--rubric", help="REWARD=FILE: the prompt file that its judge was given, if its own."),
    ] = None,
    power: Annotated[bool, typer.Option("--power", help="Also print what items and raters buy.")] = False,
    judge_correlation: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="For --power: judge with a perfectly reliable rating.")
    ] = 0.6,
    rater_correlation: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="For --power: one rater with another.")
    ] = 0.5,
) -> None:
    """Draw a study for people to rate: balanced over categories, models and score ranges, few prompts twice."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.study import make_study

    own = dict(_rubric(text) for text in rubric or [])
    names = split_names(dimensions)
    made = make_study(runs, out, count=items, seed=seed, by=by, ranges=ranges, dimensions=names, own_prompts=own)
    if len(made.items) < items:
        err.print(f"note: {items} items were asked for, and only {made.population} samples can be rated: all are in")
    _show(made)
    if power:
        _show_power(made, judge_correlation, rater_correlation)
    err.print(f"study: {out}; next: gotr1-eval rate {out}", markup=False, soft_wrap=True)


def _rubric(text: str) -> tuple[str, Path]:
    factor, _, file = text.partition("=")
    if not file:
        raise UsageError(f"--rubric {text}: expected REWARD=FILE, as in semantic=my_prompt.txt")
    return factor, Path(file)


def _show(study: Study) -> None:
    """What was drawn, by category and model, and how often prompts repeat."""
    from collections import Counter

    from rich.table import Table

    from gotr1_eval.cli.terminal import out

    models = sorted({str(item.generator) for item in study.items})
    counts = Counter((item.category, str(item.generator)) for item in study.items)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("category", *models, "items"):
        grid.add_column(column, justify="left" if column == "category" else "right", overflow="fold")
    for category in sorted({item.category for item in study.items}):
        row = [counts[category, model] for model in models]
        grid.add_row(category, *map(str, row), str(sum(row)))
    out.print(grid)
    prompts = Counter(item.cluster for item in study.items)
    for line in _facts(study, len(prompts), max(prompts.values())):
        out.print(line, markup=False, soft_wrap=True)


def _facts(study: Study, prompts: int, most: int) -> Sequence[str]:
    chances = [item.inclusion_probability for item in study.items]
    asked = ", ".join(f"{one.name} {one.low:g}-{one.high:g}" for one in study.dimensions)
    left_out = study.setup.get("left out")
    lines = [
        f"{len(study.items)} items of {prompts} prompts (none more than {most} times), drawn from {study.population} "
        f"samples in {study.setup['cells']} cells; score ranges of {study.setup['score ranges of'] or 'no judge'}",
        f"inclusion probabilities {min(chances):.3g} to {max(chances):.3g}; weighted by them the items are worth "
        f"{study.setup['effective items']}",
        f"asked: {asked}",
    ]
    if isinstance(left_out, dict) and left_out:
        lines.append("left out: " + ", ".join(f"{number} {reason}" for reason, number in left_out.items()))
    return lines


def _show_power(study: Study, judge: float, people: float) -> None:
    """95 % half-widths of the correlation between judge and raters' mean, by items and raters."""
    from rich.table import Table

    from gotr1_eval.cli.terminal import out
    from gotr1_eval.core.statistics.precision import effective_items, power

    share = effective_items([item.inclusion_probability for item in study.items]) / len(study.items)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("items", justify="right")
    for raters in RATERS:
        grid.add_column(f"{raters} rater{'s' * (raters > 1)}", justify="right")
    for count in sorted({max(len(study.items) * part // 4, 1) for part in (1, 2, 4, 8, 16)}):
        cells = [power(count, raters, judge=judge, people=people, share=share) for raters in RATERS]
        grid.add_row(
            str(count),
            *("-" if one.half_width is None else f"{one.expected:.2f} ± {one.half_width:.3f}" for one in cells),
        )
    out.print(
        f"\nCorrelation of judge and raters' mean with its 95 % half-width, if a perfectly reliable rating correlates "
        f"{judge:g} with the judge, and two raters {people:g}:",
        soft_wrap=True,
    )
    out.print(grid)
