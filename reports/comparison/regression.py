"""A regression check: did B lose anything against A, beyond a margin, on a fixed list of prompts?

Meant for one model in two forms (quantised, cached, served, a new version) with the same prompts and seeds. Passing
means that a loss of the margin is excluded, not that none was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.statistics.power import NonInferiority
from gotr1_eval.core.statistics.significance import LEVEL
from gotr1_eval.core.types import Json
from reports.comparison.difference import Difference
from reports.comparison.paired import Comparison, compare_runs
from reports.comparison.tables import could_be_found, counts, warnings
from reports.run_data import RunData


@dataclass(frozen=True, slots=True)
class Checked:
    """One judge's overall row: all prompts of all categories."""

    judge: str
    row: Difference
    not_worse: NonInferiority

    @property
    def lines(self) -> tuple[str, ...]:
        """What came out, what could be found, and on what it stands."""
        found, row = self.not_worse, self.row
        verdict, outcome = "not worse", f"a loss above {found.most:.3f} is excluded"
        if not found.shown:
            verdict, outcome = "NOT SHOWN to be no worse", f"it may have lost up to {found.most:.3f}"
        return (
            f"{self.judge}: {verdict} by more than {found.margin:g}: {row.mean or 0.0:+.3f}, {outcome} "
            f"({row.pairs} pairs of {row.prompts} prompts)",
            f"  minimum detectable effect {could_be_found(row)}; least margin that this list shows where nothing is "
            f"lost {found.showable:.3f}",
            f"  {counts(row)}",
        )


@dataclass(frozen=True, slots=True)
class Regression:
    """The check of all its judges; passed where each of them is shown to be no worse."""

    comparison: Comparison
    judges: Sequence[Checked]
    notes: Sequence[str]

    @property
    def passed(self) -> bool:
        return all(one.not_worse.shown for one in self.judges)

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        rows: list[Json] = [{"judge": one.judge, **one.row.json()} for one in self.judges]
        return {
            "a": self.comparison.a,
            "b": self.comparison.b,
            "passed": self.passed,
            "judges": rows,
            "notes": list(self.notes),
        }


def check_regression(a: RunData, b: RunData, margin: float, judges: Sequence[str] = ()) -> Regression:
    """Check B against A.

    Args:
        margin: a loss that would matter, in units of the score.
        judges: full names or factors; by default the total, or where there is none all that both runs have.

    Raises:
        UsageError: the margin is not above 0, or so small that this list of prompts cannot show it; see `compare_runs`.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise UsageError(f"--margin {margin:g}: expected a loss that would matter, above 0, such as 0.05")
    totals = [column.name for column in a.judges if column.factor == "total"]
    comparison = compare_runs(
        a, b, judges or [name for name in totals if any(name == one.name for one in b.judges)], margin
    )
    checked = []
    for judge in comparison.judges:
        row = next(iter(judge.rows.values()))
        if row.not_worse is None:
            raise UsageError(f"regress: no sample is scored by {judge.judge} in both runs")
        checked.append(Checked(judge.judge, row, row.not_worse))
    for one in checked:
        _check_possible(one)
    notes = [f"{judge.judge}: {line}" for judge in comparison.judges for line in warnings(comparison, judge)]
    shared = a.samples.keys() & b.samples.keys()
    if others := sum(a.samples[name].seed != b.samples[name].seed for name in shared):
        notes.append(f"{others} of {len(shared)} pictures were made with other seeds: they differ for that alone")
    return Regression(comparison, checked, notes)


def _check_possible(one: Checked) -> None:
    """Refuse a margin that the list cannot show even where no prompt differs."""
    found, prompts = one.not_worse, one.row.prompts
    if not found.possible:
        worst = found.floor / (1 - LEVEL ** (1 / prompts))
        needed = math.ceil(math.log(LEVEL) / math.log1p(-found.margin / worst))
        raise UsageError(
            f"--margin {found.margin:g}: this list cannot show this margin: {prompts} prompts exclude no loss below "
            f"{found.floor:.3f}, even where none differs; about {needed} prompts would"
        )
