"""Runs against known means, ready for the terminal and for export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gotr1_eval.core.statistics.summary import Summary
from reports.comparison.unpaired import AgainstMean
from reports.documents import Cell, Document, Grid, Record
from reports.origins import Origin, footer, origin, run_labels
from reports.run_data import RunData

CAVEAT = (
    "unpaired: of the other side only means are known; their own noise, prompts and settings are not, and are not "
    "counted. above, below: Student's test over prompts, Holm's correction over the categories of a known row."
)


@dataclass(frozen=True, slots=True)
class RunAgainstMeans:
    """One run's means against known ones; `left_out` says which of its numbers were not compared, and why."""

    run: RunData
    rows: Sequence[AgainstMean]
    left_out: Sequence[str] = ()


def means_document(found: Sequence[RunAgainstMeans], command: str = "") -> Document:
    """One table a run."""
    labels = run_labels([entry.run for entry in found])
    origins = [origin(entry.run, label) for entry, label in zip(found, labels, strict=True)]
    by_run = list(zip(labels, found, origins, strict=True))
    return Document(
        title=f"{', '.join(labels)} against known means",
        grids=tuple(_grid(label, entry) for label, entry, _ in by_run),
        notes=(CAVEAT,),
        footer=footer(origins, command),
        records=tuple(_record(label, row, made) for label, entry, made in by_run for row in entry.rows),
        json={
            label: {"rows": [row.json() for row in entry.rows], "left_out": list(entry.left_out)}
            for label, entry, _ in by_run
        },
    )


def _grid(label: str, entry: RunAgainstMeans) -> Grid:
    cells = tuple(
        (
            Cell(row.known.category),
            Cell(row.known.model),
            Cell(f"{row.known.score:.4g}"),
            _own(row.own),
            Cell(row.verdict, strong=row.verdict != "within noise"),
        )
        for row in entry.rows
    )
    judges = ", ".join(dict.fromkeys(row.judge for row in entry.rows))
    return Grid(
        f"{label}: {judges}", ("category", "known", "its mean", "own mean", "own is"), cells, tuple(entry.left_out)
    )


def _own(own: Summary) -> Cell:
    if own.mean is None:
        return Cell("no score")
    interval = "" if own.low is None else f"[{own.low:.3f}, {own.high:.3f}] "
    return Cell(f"{own.mean:.3f}", f"{interval}n={own.scored}")


def _record(label: str, row: AgainstMean, made: Origin) -> Record:
    numbers = {"mean": row.own.mean, "low": row.own.low, "high": row.own.high, "n": row.own.scored}
    verdict = {"difference": row.difference, "adjusted_p": row.adjusted_p, "verdict": row.verdict}
    return {"run": label, **asdict(row.known), "judge": row.judge, **numbers, **verdict, **made.columns()}
