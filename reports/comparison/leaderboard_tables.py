"""A leaderboard ready for the terminal and for export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from gotr1_eval.core.types import Json
from reports.comparison.leaderboard import Board, Column, Entry
from reports.documents import Cell, Document, Grid, Record
from reports.origins import Origin, footer, origin, run_labels
from reports.run_data import RunData

READING = (
    "Means with 95 % intervals over prompts and the number of scored samples. #k: k - 1 runs are better beyond noise "
    "(permutation tests over prompts, Holm's correction over the pairs of runs in a column); equal ranks are ties."
)
READING_ONE = "Means with 95 % intervals over prompts and the number of scored samples."


def leaderboard_document(runs: Sequence[RunData], boards: Sequence[Board], command: str = "") -> Document:
    """The boards ready for export."""
    origins = {label: origin(run, label) for label, run in zip(run_labels(runs), runs, strict=True)}
    return Document(
        title=f"Leaderboard of {len(runs)} runs" if len(runs) > 1 else f"Scores of {next(iter(origins))}",
        grids=tuple(map(_grid, boards)),
        notes=(READING if len(runs) > 1 else READING_ONE,),
        footer=footer(list(origins.values()), command),
        records=tuple(record for board in boards for record in _records(board, origins)),
        json=[board_json(board) for board in boards],
    )


def board_json(board: Board) -> dict[str, Json]:
    """A board as JSON values."""
    rows: dict[str, Json] = {
        label: [asdict(column) | asdict(entry.summary) | {"rank": entry.rank} for column, entry in row.items()]
        for label, row in board.rows.items()
    }
    return {"title": board.title, "rows": rows, "notes": list(board.notes)}


def _grid(board: Board) -> Grid:
    heads = (_head(column, board.columns) for column in board.columns)
    rows = tuple(
        (Cell(label), *(_cell(row.get(column), ranked=len(board.rows) > 1) for column in board.columns))
        for label, row in board.rows.items()
    )
    return Grid(board.title, ("run", *heads), rows, board.notes)


def _head(column: Column, columns: Sequence[Column]) -> str:
    """The category, and whatever else tells the column from the others."""
    words = [column.category]
    if len({other.judge for other in columns}) > 1:
        words.append(column.judge)
    if sum((other.category, other.judge) == (column.category, column.judge) for other in columns) > 1:
        words.append(f"set up as {column.fingerprint}, on {column.suite}")
    return ": ".join(words)


def _cell(entry: Entry | None, *, ranked: bool) -> Cell:
    if entry is None:
        return Cell("–")
    summary = entry.summary
    counts = [f"n={summary.scored}"]
    counts += [f"{name} {n}" for name, n in (("unscored", summary.unscored), ("missing", summary.missing)) if n]
    interval = "" if summary.low is None else f"[{summary.low:.3f}, {summary.high:.3f}] "
    mean = "no score" if summary.mean is None else f"{summary.mean:.3f}"
    rank = f" #{entry.rank}" if ranked and entry.rank is not None else ""
    return Cell(f"{mean}{rank}", f"{interval}{', '.join(counts)}", strong=ranked and entry.rank == 1)


def _records(board: Board, origins: Mapping[str, Origin]) -> Iterable[Record]:
    for label, row in board.rows.items():
        for column, entry in row.items():
            numbers = asdict(entry.summary) | {"rank": entry.rank}
            yield {"run": label, **asdict(column), **numbers, **origins[label].columns()}
