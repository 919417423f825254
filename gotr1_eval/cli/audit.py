"""gotr1-eval audit: what is a judge's word worth? Cases with known answers, and a report card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from benchmarks.audit.card import Card, PartResult
from benchmarks.audit.page import cards_json, measure_lines
from benchmarks.audit.trust import trust
from gotr1_eval.cli.options import AsJson, JudgeModel, MinCoverage, Out, Quiet, Tile, judge_model_spec
from gotr1_eval.cli.terminal import out, print_json
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.identifiers import safe_name

if TYPE_CHECKING:
    from benchmarks.audit.cases import Looks
    from gotr1_eval.core.protocols import Judge


def audit(
    judges: Annotated[
        str, typer.Option("--judge", "--judges", help="A judge, several separated by commas, a reward set, or a .toml.")
    ],
    judge_model: JudgeModel = None,
    looks_at: Annotated[
        Literal["prose", "plan", "grounding", "picture", "questions"] | None,
        typer.Option("--looks-at", help="What the judges look at, for those that do not say it themselves."),
    ] = None,
    size: Annotated[
        Literal["small", "medium", "large"], typer.Option(help="8, 40 or 160 cases of each part.")
    ] = "medium",
    seed: Annotated[int, typer.Option(help="Decides the cases; judges are comparable on equal ones.")] = 0,
    tile: Tile = None,
    out: Out = None,
    min_coverage: MinCoverage = 0.95,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Audit judges against known answers and write their report card. The same command resumes.

    Replies may not come from a cache, which would answer every repeat with itself.
    """
    from benchmarks.audit import run_audit
    from benchmarks.audit.page import write_card
    from gotr1_eval.cli.terminal import Bars, err, hushed

    asked, variants = _judges(judges, judge_model, looks_at)
    folder = out or Path("runs", safe_name(f"audit-{judges}-{judge_model or ''}-{size}-{seed}".replace("--", "-")))
    with hushed(quiet), Bars() as bars:
        cards = run_audit(folder, asked, variants=variants, size=size, seed=seed, tile=tile, progress=bars)
    page = write_card(cards, folder, size=size, seed=seed)
    show_cards(cards, as_json=as_json)
    with hushed(quiet):
        err.print(f"report card: {page}", markup=False, soft_wrap=True)
    holes = [f"{card.judge} {card.coverage:.0%}" for card in cards if card.coverage < min_coverage]
    if holes:
        raise RunError(
            f"{folder}: under {min_coverage:.0%} of the samples are scored ({', '.join(holes)}); the run is saved, and "
            "every grade of its card shows its unscored share"
        )


def _judges(
    names: str, judge_model: str | None, looks: str | None
) -> tuple[dict[str, tuple[Judge, Looks]], dict[str, Judge]]:
    """The judges by factor with what they look at, and their variants."""
    from benchmarks.audit.examined import VARIANT, looks_at, variant_specs
    from gotr1_eval.build import Builder

    builder = Builder()
    specs = builder.judge_specs(names, judge_model_spec(judge_model, names))
    asked: dict[str, tuple[Judge, Looks]] = {}
    variants: dict[str, Judge] = {}
    for factor, spec in specs.items():
        if _cached(spec):
            raise UsageError(
                f"judge {factor!r}: an audit asks the same thing twice, and a cache would answer it with itself; name "
                "the model without use = 'cached'"
            )
        judge = builder.judge(spec)
        asked[factor] = (judge, looks_at(judge, looks))
        variants |= {f"{factor}{VARIANT}{name}": builder.judge(other) for name, other in variant_specs(spec).items()}
    if looks is not None and all(judge.looks_at is not None for judge, _ in asked.values()):
        raise UsageError(f"--looks-at {looks}: every judge of {names!r} says itself what it looks at; leave it out")
    return asked, variants


def _cached(spec: object) -> bool:
    """Whether any model of the settings, however deep, answers from a cache."""
    if isinstance(spec, Mapping):
        return spec.get("use") == "cached" or any(_cached(value) for value in spec.values())
    return isinstance(spec, list) and any(_cached(value) for value in spec)


COLOURS = {"A": "green", "B": "green", "C": "yellow", "D": "yellow", "F": "red"}


def show_cards(cards: Sequence[Card], *, as_json: bool) -> None:
    """Parts down, judges across; below, the checks that went wrong and what was measured."""
    if as_json:
        print_json(cards_json(cards))
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("part")
    for card in cards:
        grid.add_column(Text(card.judge), overflow="fold")
    for rows in zip(*(card.parts for card in cards), strict=True):
        grid.add_row(Text(rows[0].name), *map(_cell, rows))
    out.print(grid)
    for card in cards:
        for part in card.parts:
            _show_details(card, part)
        out.print(f"{card.judge}: can it be trained on? {trust(card)}", markup=False, soft_wrap=True)


def _cell(part: PartResult) -> Text:
    if part.why_not:
        return Text("not applicable", style="dim")
    rate = "" if part.worst is None else f" {part.worst.rate:.2f}"
    text = Text(f"{part.grade}{rate}", style=COLOURS.get(part.grade, ""))
    return text.append(f"\nn={part.samples - part.unscored}, unscored {part.unscored_share:.1%}", style="dim")


def _show_details(card: Card, part: PartResult) -> None:
    for check in part.checks:
        if check.wrong:
            counts = f"{check.right} of {check.scored} right, unscored {check.unscored}"
            out.print(f"{card.judge}, {part.name}: {check.name}: {counts}", markup=False, soft_wrap=True)
    for line in measure_lines(part):
        out.print(f"{card.judge}, {part.name}: {line}", style="dim", markup=False, soft_wrap=True)
