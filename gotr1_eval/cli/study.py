"""gotr1-eval study and rate: which samples should people rate, and the page on which they do."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import split_names
from gotr1_eval.core.errors import RunError, UsageError, one_line
from gotr1_eval.core.extras import install_hint
from gotr1_eval.core.secrets import show
from gotr1_eval.web.addresses import address, is_loopback, listening, token_of_environment

if TYPE_CHECKING:
    from gotr1_eval.web.rating_store import RatingStore
    from reports.agreement.ratings import RaterSummary
    from reports.agreement.study_folder import Study


RATERS = (1, 2, 3, 5)
TOKEN_FILE = ".rating-token"


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
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Two pictures of one prompt and seed, of two runs, side by side.")
    ] = False,
    question: Annotated[
        str | None,
        typer.Option("--question", help="For --pairs: what is asked, if not which shows the request better."),
    ] = None,
    controls: Annotated[
        Path | None, typer.Option("--controls", help="A JSONL file of items with known answers, which everybody gets.")
    ] = None,
    instructions: Annotated[
        Path | None, typer.Option("--instructions", help="A text file: what raters are told first, in your words.")
    ] = None,
    items_per_rater: Annotated[
        int | None, typer.Option("--items-per-rater", min=1, help="Beside the controls; all by default.")
    ] = None,
    raters_per_item: Annotated[
        int | None, typer.Option("--raters-per-item", min=1, help="How many people rate each item; all by default.")
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
    from gotr1_eval.study import QUESTION, make_study
    from reports.agreement.study_folder import Design

    if question is not None and not pairs:
        raise UsageError("--question: is asked about pairs; add --pairs, or choose what to ask with --dimensions")
    told = _text(instructions) if instructions is not None else ""
    made = make_study(
        runs,
        out,
        count=items,
        seed=seed,
        by=by,
        ranges=ranges,
        dimensions=split_names(dimensions),
        own_prompts=dict(_rubric(text) for text in rubric or []),
        pairs_question=(question or QUESTION) if pairs else None,
        controls=controls,
        design=Design(instructions=told, items_per_rater=items_per_rater, raters_per_item=raters_per_item),
    )
    if len(made.drawn) < items:
        err.print(f"note: {items} items were asked for, and only {made.population} can be rated: all are in")
    _show(made)
    if power:
        _show_power(made, judge_correlation, rater_correlation)
    err.print(f"study: {out}; next: gotr1-eval rate {out}", markup=False, soft_wrap=True)


def _rubric(text: str) -> tuple[str, Path]:
    factor, _, file = text.partition("=")
    if not file:
        raise UsageError(f"--rubric {text}: expected REWARD=FILE, as in semantic=my_prompt.txt")
    return factor, Path(file)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--instructions {path}: cannot be read as text: {one_line(error)}") from None


def _show(study: Study) -> None:
    """What was drawn, by category and model, and how often prompts repeat."""
    from collections import Counter

    from rich.table import Table

    from gotr1_eval.cli.terminal import out

    models = sorted({str(item.generator) for item in study.drawn})
    counts = Counter((item.category, str(item.generator)) for item in study.drawn)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("category", *models, "items"):
        grid.add_column(column, justify="left" if column == "category" else "right", overflow="fold")
    for category in sorted({item.category for item in study.drawn}):
        row = [counts[category, model] for model in models]
        grid.add_row(category, *map(str, row), str(sum(row)))
    out.print(grid)
    prompts = Counter(item.cluster for item in study.drawn)
    for line in _facts(study, len(prompts), max(prompts.values())):
        out.print(line, markup=False, soft_wrap=True)


def _facts(study: Study, prompts: int, most: int) -> Sequence[str]:
    from reports.agreement.study_folder import PREFERENCE

    chances = [item.inclusion_probability for item in study.drawn]
    asked = ", ".join(
        one.rubric if one.name == PREFERENCE else f"{one.name} {one.low:g}-{one.high:g}" for one in study.dimensions
    )
    left_out = study.setup.get("left out")
    lines = [
        f"{len(study.drawn)} items of {prompts} prompts (at most {most} of one), drawn from {study.population} "
        f"{'pairs' if study.drawn[0].pair else 'samples'} in {study.setup['cells']} cells; score ranges of "
        f"{study.setup['score ranges of'] or 'no judge'}",
        f"inclusion probabilities {min(chances):.3g} to {max(chances):.3g}; weighted by them the items are worth "
        f"{study.setup['effective items']}",
        f"asked: {asked}",
        *_design_facts(study),
    ]
    if isinstance(left_out, dict) and left_out:
        lines.append("left out: " + ", ".join(f"{number} {reason}" for reason, number in left_out.items()))
    return lines


def _design_facts(study: Study) -> Iterator[str]:
    """Who gets what, where it is not everything for everybody."""
    each, often = study.design.items_per_rater, study.design.raters_per_item
    if study.controls:
        yield f"controls: {len(study.controls)} items with known answers, which everybody gets"
    if often is not None and each is not None:
        raters = -(-len(study.drawn) * often // min(each, len(study.drawn)))
        yield f"raters: {max(raters, often)} people with {each} items each rate every item {often} times"
    elif often is not None:
        yield f"raters: {often} people rate every item"
    elif each is not None:
        yield f"raters: each gets {each} of the items, those first that fewest people have been given"


def _show_power(study: Study, judge: float, people: float) -> None:
    """95 % half-widths of the correlation between judge and raters' mean, by items and raters."""
    from rich.table import Table

    from gotr1_eval.cli.terminal import out
    from gotr1_eval.core.statistics.precision import effective_items, power

    drawn = study.drawn
    share = effective_items([item.inclusion_probability for item in drawn]) / len(drawn)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("items", justify="right")
    for raters in RATERS:
        grid.add_column(f"{raters} rater{'s' * (raters > 1)}", justify="right")
    for count in sorted({max(len(drawn) * part // 4, 1) for part in (1, 2, 4, 8, 16)}):
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


def rate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder, as `gotr1-eval study` writes it.")],
    export: Annotated[
        Path | None, typer.Option("--export", help="Write all ratings to this CSV file, and start no server.")
    ] = None,
    least_right: Annotated[
        float | None,
        typer.Option(
            "--least-right",
            min=0.0,
            max=1.0,
            help="For --export: without the ratings of who got less than this share of the controls right.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's needs the link's token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8790,
) -> None:
    """Let people rate a study in their browsers: several at once, each under a name, every click kept at once.

    The same command goes on where it stopped. GOTR1_EVAL_TOKEN is the token of the link, if set.
    """
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.web.rating_store import RatingStore
    from reports.agreement.study_folder import read_study

    study = read_study(folder)
    if export is not None and export.suffix != ".csv":
        raise UsageError(f"--export {export}: expected a file ending in .csv")
    store = RatingStore(folder, study)
    if export is not None:
        _export(study, store, export, least_right)
        return
    if least_right is not None:
        raise UsageError("--least-right: says whose ratings --export leaves out; add --export FILE.csv")
    try:
        from gotr1_eval.web.guard import server
        from gotr1_eval.web.rate import create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"rating needs {error.name}: {install_hint('serve')}") from None
    token = None if is_loopback(host) else _token(folder)
    with listening(host, port) as listener:
        link = f"{address(host, listener)}/{'' if token is None else f'?token={token}'}"
        show(f"rate at {link}")
        out.print("Every answer is on disk before the page shows it as saved. Ctrl-C stops, the same command goes on.")
        server(create_app(folder, study, store, token=token)).run(sockets=[listener])


def _export(study: Study, store: RatingStore, path: Path, least_right: float | None) -> None:
    """Write the long table without the controls, and beside it how each rater did; say what is in them."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.files.writing import write_atomically
    from reports.agreement.ratings import kept_raters, rater_summaries, ratings_csv, summaries_csv

    given = store.ratings()
    summaries = rater_summaries(study, given)
    kept, controls = kept_raters(summaries, least_right), {item.item for item in study.controls}
    ratings = [one for one in given if one.rater in kept and one.item not in controls]
    beside = path.with_name(f"{path.stem}_raters{path.suffix}")
    try:
        write_atomically(path, ratings_csv(ratings))
        write_atomically(beside, summaries_csv(summaries))
    except RunError as error:
        raise UsageError(f"--export {str(error).rpartition('; ')[0]}") from None
    _show_raters(summaries)
    left_out = [one.rater for one in summaries if one.rater not in kept]
    if left_out:
        err.print(f"left out (--least-right {least_right:g}): {', '.join(left_out)}", markup=False, soft_wrap=True)
    marks = sum(rating.value is not None for rating in ratings)
    raters, items = len({rating.rater for rating in ratings}), len({rating.item for rating in ratings})
    err.print(
        f"{path}: {marks} marks and {len(ratings) - marks} 'cannot judge' by {raters} raters on {items} items; "
        f"the raters: {beside}",
        markup=False,
        soft_wrap=True,
    )


def _show_raters(summaries: Sequence[RaterSummary]) -> None:
    """How each rater did; columns that no rater has a number in are left out."""
    from rich.table import Table

    from gotr1_eval.cli.terminal import out

    if not summaries:
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("rater", overflow="fold")
    columns = {
        "items": [str(one.items) for one in summaries],
        "cannot judge": [str(one.cannot_judge or "") for one in summaries],
        "controls right": [
            "" if one.share_right is None else f"{one.controls_right} of {one.controls} ({one.share_right:.0%})"
            for one in summaries
        ],
        "left preferred": [
            "" if one.share_left is None else f"{one.preferred_left} of {one.preferred}" for one in summaries
        ],
        "seconds": ["" if one.median_seconds is None else f"{one.median_seconds:.1f}" for one in summaries],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    for name in shown:
        grid.add_column(name, justify="right")
    for one, *cells in zip(summaries, *shown.values(), strict=True):
        grid.add_row(one.rater, *cells)
    out.print(grid)


def _token(folder: Path) -> str:
    """The link's token: the environment's, or one that stays the same for the study."""
    if named := token_of_environment():
        return named
    path = folder / TOKEN_FILE
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii").strip()
