"""gotr1-eval compare: is run B better than run A, or is it noise?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, split_names
from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from reports.comparison.runs import Comparison


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; every other one is compared with the first.")],
    judges: Annotated[str | None, typer.Option("--judges", help="Only these judges, by full name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs of the same prompts: per category better, worse, or within noise."""
    from gotr1_eval.cli.terminal import out
    from reports.comparison.runs import compare_runs
    from reports.run_data import load_run

    if len(runs) < 2:
        raise UsageError("compare: give at least two run folders")
    first, *others = [load_run(folder) for folder in runs]
    found = [compare_runs(first, other, split_names(judges)) for other in others]
    if as_json:
        out.print(json.dumps([comparison.json() for comparison in found], indent=2), markup=False, soft_wrap=True)
        return
    for comparison in found:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    """Sentences, and the prompts that moved the most."""
    from gotr1_eval.cli.terminal import out
    from reports.comparison.runs import sentence

    out.print(f"{comparison.b} against {comparison.a}", style="bold", markup=False)
    for judge in comparison.judges:
        out.print(f"{judge.judge}", style="bold", markup=False)
        if judge.fingerprints_differ:
            out.print("  set up differently in the two runs: these differences are not the generators' alone")
        for category, row in judge.rows.items():
            out.print(f"  {sentence(category, row)}", markup=False, soft_wrap=True)
            out.print(f"    {row.wins} won, {row.ties} tied, {row.losses} lost{_left_out(row.left_out)}", style="dim")
        for identity, prompt, moved in judge.moved:
            out.print(f"    {moved:+.3f}  {prompt[:90]!r} ({identity})", style="dim", markup=False, soft_wrap=True)


def _left_out(counts: Mapping[str, int]) -> str:
    return "".join(f", {count} {reason}" for reason, count in counts.items())
