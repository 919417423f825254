"""Runs in a notebook: compared, and written as a page; a run is its folder or what `load_run` gives.

from gotr1_eval import compare_runs, write_page
compare_runs("runs/before", "runs/after")
write_page("runs/after", before="runs/before")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from reports import run_data
from reports.comparison.paired import Comparison
from reports.comparison.paired import compare_runs as compare
from reports.comparison.tables import sentence
from reports.dataframes import RunFrames
from reports.run_data import RunData
from reports.run_page import page
from reports.run_summary import summarise_run

if TYPE_CHECKING:
    import pandas as pd

Run = RunFrames | RunData | Path | str
"""A run as `load_run` gives it, as the reports read it, or its folder."""


def run_of(run: Run) -> RunData:
    """The run as the reports read it.

    Raises:
        DataError: it is not a run folder, or a line of it is damaged.
    """
    if isinstance(run, RunData):
        return run
    return run.data if isinstance(run, RunFrames) else run_data.load_run(Path(run))


def write_page(
    run: Run, path: Path | str | None = None, *, everything: bool = False, before: Run | None = None
) -> Path:
    """Write the page of a run, by default as report.html in its folder, and return where it is.

    Args:
        everything: show all samples; those beyond 200 lie in a folder beside the page.
        before: another run, whose pictures and scores of the same samples stand beside this one's.
    """
    data = run_of(run)
    return page.write_page(
        data,
        summarise_run(data),
        None if path is None else Path(path),
        everything=everything,
        before=None if before is None else run_of(before),
    )


def compare_runs(a: Run, b: Run, judges: Sequence[str] = (), margin: float | None = None) -> ComparedRuns:
    """Run `b` against run `a`, sample by sample; see `reports.comparison.paired.compare_runs`."""
    return ComparedRuns(compare(run_of(a), run_of(b), judges, margin))


@dataclass(frozen=True)
class ComparedRuns:
    """A comparison as a table.

    Attributes:
        data: the comparison as the reports print it.
    """

    data: Comparison

    def __repr__(self) -> str:
        """Two lines: which runs, and what the first judge says over everything."""
        first = self.data.judges[0]
        category, row = next(iter(first.rows.items()))
        return f"{self.data.b} against {self.data.a}\n{first.judge}, {sentence(category, row)}"

    def _repr_html_(self) -> str:
        first, _, second = repr(self).partition("\n")
        shown = self.table.drop(columns=["ties", "could be found"]).round(3)
        return f"<p><b>{escape(first)}</b><br>{escape(second)}</p>{shown.to_html(index=False, na_rep='')}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a judge and category: verdict, difference (`b` minus `a`) with its interval, corrected p, counts.

        Numbers that a row lacks are NaN; ``could be found`` is the smallest true difference that would have been.
        """
        import pandas as pd

        rows = [
            {
                "judge": judge.judge,
                "category": category,
                "verdict": row.verdict,
                "difference": row.mean,
                "low": row.low,
                "high": row.high,
                "p": row.adjusted_p,
                "pairs": row.pairs,
                "prompts": row.prompts,
                "won": row.wins,
                "ties": row.ties,
                "lost": row.losses,
                "could be found": row.detectable,
            }
            for judge in self.data.judges
            for category, row in judge.rows.items()
        ]
        numbers = ("difference", "low", "high", "p", "could be found")
        return pd.DataFrame(rows).astype(dict.fromkeys(numbers, float))
