"""Runs against known means, ready for the terminal and for export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from gotr1_eval.core.statistics import Summary
from reports.comparison.unpaired import AgainstMean
from reports.documents import Cell, Document, Grid, Record
from reports.origins import Origin, footer, origin, run_labels
from reports.run_data import RunData

CAVEAT = (
    "unpaired: of the other side only means are known; their own noise, prompts and settings are not, and are not "
    "counted. above, below: Student's test over prompts, Holm's correction over the categories of a known row."
)


def means_document(runs: Sequence[RunData], found: Sequence[Sequence[AgainstMean]], command: str = "") -> Document:
    """One table a run."""
    labels = run_labels(runs)
    origins = {label: origin(run, label) for label, run in zip(labels, runs, strict=True)}
    by_run = dict(zip(labels, found, strict=True))
    return Document(
        title=f"{', '.join(labels)} against known means",
        grids=tuple(_grid(label, rows) for label, rows in by_run.items()),
        notes=(CAVEAT,),
        footer=footer(list(origins.values()), command),
        records=tuple(_record(label, row, origins[label]) for label, rows in by_run.items() for row in rows),
        json={label: [row.json() for row in rows] for label, rows in by_run.items()},
    )


def _grid(label: str, rows: Sequence[AgainstMean]) -> Grid:
    cells = tuple(
        (
            Cell(row.known.category),
            Cell(row.known.model),
            Cell(f"{row.known.score:.4g}"),
            _own(row.own),
            Cell(row.verdict, strong=row.verdict != "within noise"),
        )
        for row in rows
    )
    judges = ", ".join(dict.fromkeys(row.judge for row in rows))
    return Grid(f"{label}: {judges}", ("category", "known", "its mean", "own mean", "own is"), cells)


def _own(own: Summary) -> Cell:
    if own.mean is None:
        return Cell("no score")
    interval = "" if own.low is None else f"[{own.low:.3f}, {own.high:.3f}] "
    return Cell(f"{own.mean:.3f}", f"{interval}n={own.scored}")


def _record(label: str, row: AgainstMean, made: Origin) -> Record:
    numbers = {"mean": row.own.mean, "low": row.own.low, "high": row.own.high, "n": row.own.scored}
    verdict = {"difference": row.difference, "adjusted_p": row.adjusted_p, "verdict": row.verdict}
    return {"run": label, **asdict(row.known), "judge": row.judge, **numbers, **verdict, **made.columns()}
