"""Comparisons as tables for export."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from reports.comparison.paired import Difference
from reports.comparison.runs import Comparison, JudgeComparison
from reports.comparison.words import counts, warnings
from reports.documents import Cell, Document, Grid, Record
from reports.origins import footer, origin, run_labels
from reports.run_data import RunData

READING = (
    "Mean difference with its 95 % interval over prompts; p of a sign-flip permutation test over prompts after Holm's "
    "correction over the categories of a judge; below 0.05 a category is called better or worse, else within noise. "
    "The last column is the smallest true difference that is found in 80 of 100 cases."
)
_COLUMNS = ("category", "verdict", "difference", "p", "won, tied, lost", "could be found")


def comparison_document(runs: Sequence[RunData], comparisons: Sequence[Comparison], command: str = "") -> Document:
    """The comparisons ready for export.

    Args:
        runs: the first run, then those it was compared with.
    """
    origins = [origin(run, label) for run, label in zip(runs, run_labels(runs), strict=True)]
    return Document(
        title=" against ".join([", ".join(comparison.b for comparison in comparisons), comparisons[0].a]),
        grids=tuple(_grid(comparison, judge) for comparison in comparisons for judge in comparison.judges),
        notes=(READING,),
        footer=footer(origins, command),
        records=tuple(record for comparison in comparisons for record in _records(comparison)),
        json=[comparison.json() for comparison in comparisons],
    )


def _grid(comparison: Comparison, judge: JudgeComparison) -> Grid:
    title = f"{comparison.b} against {comparison.a}: {judge.judge}"
    rows = tuple((Cell(category), *_cells(row)) for category, row in judge.rows.items())
    return Grid(title, _COLUMNS, rows, tuple(warnings(comparison, judge)))


def _cells(row: Difference) -> tuple[Cell, ...]:
    interval = "" if row.low is None else f"[{row.low:+.3f}, {row.high:+.3f}]"
    return (
        Cell(row.verdict, strong=row.verdict != "within noise"),
        Cell("no pair") if row.mean is None else Cell(f"{row.mean:+.3f}", interval),
        Cell(f"{row.adjusted_p:.3f}", f"{row.pairs} pairs, {row.prompts} prompts"),
        Cell(counts(row)),
        Cell("–" if row.detectable is None else f"{row.detectable:.3f}"),
    )


def _records(comparison: Comparison) -> Iterable[Record]:
    for judge in comparison.judges:
        for category, row in judge.rows.items():
            head = {"a": comparison.a, "b": comparison.b, "judge": judge.judge, "category": category}
            numbers = {name: value for name, value in asdict(row).items() if name != "left_out"}
            yield {**head, "verdict": row.verdict, **numbers, "left_out": sum(row.left_out.values())}
