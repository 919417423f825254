"""Comparisons in sentences, and as tables for export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from reports.comparison.difference import Difference
from reports.comparison.paired import Comparison, JudgeComparison
from reports.documents import Cell, Document, Grid, Record
from reports.origins import footer, origin, run_labels
from reports.run_data import RunData

READING = (
    "Mean difference with its 95 % interval over prompts; p of a sign-flip test over prompts that a long tail on one "
    "side cannot mislead, after Holm's correction over the categories of a judge; below 0.05 a category is called "
    "better or worse, else within noise. The last column is the smallest true difference that is found in 80 of 100 "
    "cases. Rows over several categories are tests of their own, without a correction."
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
        Cell(could_be_found(row)),
    )


def _records(comparison: Comparison) -> Iterable[Record]:
    for judge in comparison.judges:
        for category, row in judge.rows.items():
            head = {"a": comparison.a, "b": comparison.b, "judge": judge.judge, "category": category}
            apart = ("left_out", "not_worse")
            numbers = {name: value for name, value in asdict(row).items() if name not in apart}
            if row.not_worse is not None:
                numbers |= {f"not_worse_{name}": value for name, value in asdict(row.not_worse).items()}
            yield {**head, "verdict": row.verdict, **numbers, "left_out": sum(row.left_out.values())}


def sentence(category: str, row: Difference) -> str:
    """One category in words: better, worse, or within noise, and how it is known."""
    if row.mean is None:
        return f"{category}: no sample is scored in both runs"
    if row.ties == row.pairs:
        return f"{category}: identical in all {row.pairs} pairs{_margin(row)}"
    interval = "" if row.low is None else f" [{row.low:+.3f}, {row.high:+.3f}]"
    tail = f"p {row.adjusted_p:.3f}, {row.pairs} pairs of {row.prompts} prompts"
    if row.verdict == "within noise":
        lopsided = "; signs alone would call it a difference, a long tail may explain it" if row.lopsided else ""
        return f"{category}: within noise, {row.mean:+.3f}{interval} ({tail}; {_findable(row)}{lopsided}){_margin(row)}"
    undone = "; rare breaks that this list does not hold could undo it" if row.may_be_undone else ""
    return f"{category}: {row.verdict} by {abs(row.mean):.3f}{interval} ({tail}{undone}){_margin(row)}"


def _findable(row: Difference) -> str:
    """What could have been found, as a clause."""
    if row.detectable is not None:
        return f"a difference of {row.detectable:.3f} could have been found"
    if row.prompts < row.fewest:
        return f"nothing can be found with fewer than {row.fewest} prompts"
    return "what could have been found cannot be told from so few prompts that differ"


def could_be_found(row: Difference) -> str:
    """The detectable difference, or that there is none, or that it cannot be told."""
    if row.detectable is not None:
        return f"{row.detectable:.3f}"
    return "nothing" if row.prompts < row.fewest else "cannot be told"


def _margin(row: Difference) -> str:
    """Whether B is not worse by more than the margin; empty where that was not asked."""
    found = row.not_worse
    if found is None:
        return ""
    if found.shown:
        return f"; not worse by more than {found.margin:g} (a loss above {found.most:.3f} is excluded)"
    return f"; not shown to be no worse than {found.margin:g} (a loss up to {found.most:.3f} is not excluded)"


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
