"""gotr1-eval reread: the stored replies of a run read again by the present reader."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson

if TYPE_CHECKING:
    from gotr1_eval.core.outcome import Outcome
    from gotr1_eval.runs.reread import JudgeReread, Reread

SHOWN = 20


def reread(
    run: Annotated[Path, typer.Argument(help="A run folder that judges have judged; nothing in it is changed.")],
    judge: Annotated[
        str | None, typer.Option("--judge", help="Only judges whose name begins so; all by default.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=f"Show every difference, not only {SHOWN} a judge.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the stored raw replies of an old run with the present reader, and show what differs; asks no model.

    Example: gotr1-eval reread runs/2025-11 --judge prompt_image
    """
    from gotr1_eval.cli.terminal import out, print_json
    from gotr1_eval.runs.reread import reread as read_again

    found = read_again(run, judge)
    if as_json:
        print_json(_json(found))
        return
    for one in found:
        for line in _lines(one, None if every else SHOWN):
            out.print(line, markup=False, soft_wrap=True)


def _lines(found: JudgeReread, most: int | None) -> list[str]:
    from gotr1_eval.core.reading import READER_VERSION
    from gotr1_eval.runs.reread import Fate

    counts = ", ".join(f"{count} {fate}" for fate, count in found.counts.items())
    frame = f", boxes in {found.frame}" if found.frame else ""
    lines = [f"{found.judge}: {len(found.rows)} judgments read again by reader {READER_VERSION}{frame}: {counts}"]
    lines += [f"  not read again: {count} ({reason})" for reason, count in found.left_out.items()]
    if found.rows:
        lines.append(f"  mean {_mean([row.old for row in found.rows])} -> {_mean([row.new for row in found.rows])}")
    changed = [row for row in found.rows if row.fate is not Fate.SAME]
    lines += [f"  {row.sample}  {_told(row.old)} -> {_told(row.new)}" for row in changed[:most]]
    if most is not None and len(changed) > most:
        lines.append(f"  and {len(changed) - most} more (--all shows them)")
    return lines


def _told(outcome: Outcome) -> str:
    from gotr1_eval.core.errors import one_line
    from gotr1_eval.core.outcome import Score

    if isinstance(outcome, Score):
        return f"{outcome.value:.3f}"
    return f"unscored ({outcome.why.value}: {one_line(outcome.detail, 120)})"


def _mean(outcomes: list[Outcome]) -> str:
    from gotr1_eval.core.outcome import Score

    values = [outcome.value for outcome in outcomes if isinstance(outcome, Score)]
    return f"{statistics.fmean(values):.3f} (n={len(values)})" if values else "none (n=0)"


def _json(found: list[JudgeReread]) -> dict[str, object]:
    from gotr1_eval.core.reading import READER_VERSION
    from gotr1_eval.runs.reread import Fate

    judges = [
        {
            "judge": one.judge,
            "read_again": len(one.rows),
            "frame": one.frame,
            "counts": one.counts,
            "not_read_again": dict(one.left_out),
            "differences": [_difference(row) for row in one.rows if row.fate is not Fate.SAME],
        }
        for one in found
    ]
    return {"reader": READER_VERSION, "judges": judges}


def _difference(row: Reread) -> dict[str, object]:
    return {"sample": row.sample, "fate": row.fate.value, "old": _outcome(row.old), "new": _outcome(row.new)}


def _outcome(outcome: Outcome) -> dict[str, object]:
    from gotr1_eval.core.outcome import Score

    if isinstance(outcome, Score):
        return {"value": outcome.value, "parts": dict(outcome.parts)}
    return {"why": outcome.why.value, "detail": outcome.detail}
