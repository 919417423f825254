"""Comparisons in sentences, and as tables for export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from reports.comparison.paired import Comparison, Difference, JudgeComparison
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


def sentence(category: str, row: Difference) -> str:
    """One category in words: better, worse, or within noise, and how it is known."""
    if row.mean is None:
        return f"{category}: no sample is scored in both runs"
    if row.ties == row.pairs:
        return f"{category}: identical in all {row.pairs} pairs"
    interval = "" if row.low is None else f" [{row.low:+.3f}, {row.high:+.3f}]"
    tail = f"p {row.adjusted_p:.3f}, {row.pairs} pairs of {row.prompts} prompts"
    if row.verdict == "within noise":
        needed = "" if row.detectable is None else f"; a difference of {row.detectable:.3f} could have been found"
        return f"{category}: within noise, {row.mean:+.3f}{interval} ({tail}{needed})"
    return f"{category}: {row.verdict} by {abs(row.mean):.3f}{interval} ({tail})"


def counts(row: Difference) -> str:
    """Wins, ties and losses of B, and what was left out."""
    return f"{row.wins} won, {row.ties} tied, {row.losses} lost{_left_out(row.left_out)}"


def _left_out(reasons: Mapping[str, int]) -> str:
    return "".join(f", {count} {reason}" for reason, count in reasons.items())


def warnings(comparison: Comparison, judge: JudgeComparison) -> list[str]:
    """What a reader must know before believing a judge's differences."""
    found = []
    if judge.fingerprints_differ:
        found.append("set up differently in the two runs: these differences are not the generators' alone")
    for label, count in ((comparison.a, comparison.only_a), (comparison.b, comparison.only_b)):
        if count:
            found.append(f"{count} samples of {label} are not in the other run and are left out")
    return found
