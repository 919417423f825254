"""The report card as a terminal shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from benchmarks.audit.card import Card, PartResult, card_json
from benchmarks.audit.page import measure_lines
from gotr1_eval.cli.terminal import out

COLOURS = {"A": "green", "B": "green", "C": "yellow", "D": "yellow", "F": "red"}


def show_cards(cards: Sequence[Card], *, as_json: bool) -> None:
    """Parts down, judges across; below, the checks that went wrong and what was measured."""
    if as_json:
        out.print(json.dumps(card_json(cards), indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
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
