"""gotr1-eval list: what can be named in options and settings."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from gotr1_eval.core.errors import UsageError, nearest_name


def list_plugins(
    kind: Annotated[
        str | None,
        typer.Argument(help="One kind, as in `list judges`; all by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List judges, detectors, encoders, generators, benchmark suites and reward sets, each with a line."""
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.core.plugins import (
        BENCHMARKS,
        DEPTHS,
        DETECTORS,
        ENCODERS,
        GENERATORS,
        JUDGES,
        PHRASES,
        VLMS,
        YES_NO,
    )
    from rewards.reward_set import shipped_sets

    listed = {
        "judges": JUDGES.list(),
        "models": VLMS.list(),
        "detectors": DETECTORS.list(),
        "encoders": ENCODERS.list(),
        "yes-no": YES_NO.list(),
        "depth": DEPTHS.list(),
        "phrases": PHRASES.list(),
        "generators": GENERATORS.list(),
        "suites": {name.replace("_", "-"): line for name, line in BENCHMARKS.list().items()},
        "rewards": shipped_sets(),
    }
    if kind is not None:
        if kind not in listed:
            raise UsageError(f"list: no kind {kind!r}{nearest_name(kind, listed)} (known: {', '.join(listed)})")
        listed = {kind: listed[kind]}
    if as_json:
        out.print(
            json.dumps({name: dict(entries) for name, entries in listed.items()}, indent=2),
            markup=False,
            soft_wrap=True,
        )
        return
    for name, entries in listed.items():
        out.print(f"[bold]{name}[/bold]")
        for entry, line in entries.items():
            out.print(f"  {entry:<22}{line}", markup=False, soft_wrap=True)
