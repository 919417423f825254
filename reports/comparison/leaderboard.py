"""Several runs in one table: rows are runs, columns are categories, and no column mixes two metrics.

A column is a category, a judge by full name and fingerprint, and the suite of the prompts. Runs that differ in any of
these stand in different columns, whatever the judge is called for short. A judge of several categories has a board of
its own; metrics that are each made for a single category share one.
`leaderboard_document` makes the boards ready for the terminal and for export.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.statistics.summary import Summary
from gotr1_eval.core.types import Json
from reports.comparison.ranks import belongs, ranks, scores_of
from reports.documents import Cell, Document, Grid, Record
from reports.origins import Origin, footer, origin, run_labels
from reports.run_data import RunData
from reports.run_summary import SUMS, summarise_run

EACH = "one metric a category"
"""Title of the board of metrics that are each made for a single category."""
READING = (
    "Means with 95 % intervals over prompts and the number of scored samples. #k: k - 1 runs are better beyond noise "
    "(permutation tests over prompts, Holm's correction over the pairs of runs in a column); equal ranks are ties."
)
READING_ONE = "Means with 95 % intervals over prompts and the number of scored samples."


@dataclass(frozen=True, slots=True)
class Column:
    """What one column's numbers have in common."""

    category: str
    judge: str
    fingerprint: str
    suite: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One run's number in a column; `rank` counts the runs that are better beyond noise, from 1."""

    summary: Summary
    rank: int | None


@dataclass(frozen=True, slots=True)
class Board:
    """One table.

    Attributes:
        rows: run -> column -> entry, best first; a run has no entry where it was not judged.
        notes: what a reader must know before comparing rows.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Mapping[str, Mapping[Column, Entry]]
    notes: tuple[str, ...]


Numbers = dict[Column, dict[str, Summary]]
"""Column -> run -> summary."""


def leaderboard(runs: Sequence[RunData], judges: Collection[str] = ()) -> list[Board]:
    """The boards of these runs, the total's first.

    Args:
        judges: full names or factors; all by default.

    Raises:
        UsageError: a judge that no run has, or a run that is given twice.
    """
    labelled = dict(zip(run_labels(runs), runs, strict=True))
    _check_judges(runs, judges)
    numbers: Numbers = {}
    for label, run in labelled.items():
        for column, summary in _columns(run, judges):
            numbers.setdefault(column, {})[label] = summary
    boards = [_board(title, columns, numbers, labelled) for title, columns in _grouped(numbers).items()]
    return sorted(boards, key=lambda board: not board.title.startswith("total["))


def _check_judges(runs: Sequence[RunData], judges: Collection[str]) -> None:
    known = {name for run in runs for column in run.judges for name in (column.name, column.factor)}
    for name in judges:
        if name not in known:
            raise UsageError(f"no judge {name!r} in these runs{nearest_name(name, known)}")


def _columns(run: RunData, judges: Collection[str]) -> Iterable[tuple[Column, Summary]]:
    """Every column that the run has a number, or a hole, in."""
    suite = next((identity.partition("/")[0] for identity in run.samples), "")
    rows = summarise_run(run).rows
    for judge in run.judges:
        if judges and judge.name not in judges and judge.factor not in judges:
            continue
        due = {name: cell for name, row in rows.items() if (cell := row[judge.name]).coverage < 1 or cell.scored}
        # A metric of one category has nothing to sum up.
        sums = sum(name in run.expected for name in due) > 1
        for category, summary in due.items():
            if category in run.expected or sums:
                yield Column(category, judge.name, judge.fingerprint, suite), summary


def _grouped(numbers: Numbers) -> dict[str, list[Column]]:
    """Board title -> columns. Judges of one name that were set up differently, or ran on other prompts, are apart."""
    by_judge: dict[tuple[str, str, str], list[Column]] = {}
    for column in numbers:
        by_judge.setdefault((column.judge, column.fingerprint, column.suite), []).append(column)
    names = [judge for judge, _, _ in by_judge]
    boards: dict[str, list[Column]] = {}
    for (judge, fingerprint, suite), columns in by_judge.items():
        if len(columns) > 1 or len(by_judge) == 1:
            boards[f"{judge}, set up as {fingerprint}, on {suite}" if names.count(judge) > 1 else judge] = columns
        else:
            boards.setdefault(EACH, []).extend(columns)
    return boards


def _board(title: str, columns: Sequence[Column], numbers: Numbers, runs: Mapping[str, RunData]) -> Board:
    notes = []
    if title != EACH and len({tuple(sorted(numbers[column])) for column in columns}) > 1:
        columns = [column for column in columns if column.category not in SUMS]
        notes.append("no column for all categories: the runs do not cover the same ones")
    notes += [note for column in columns for note in _other_samples(column, numbers, runs)]
    rows: dict[str, dict[Column, Entry]] = {label: {} for label in runs}
    for column in columns:
        standing = ranks({label: scores_of(runs[label], column.judge, column.category) for label in numbers[column]})
        for label, summary in numbers[column].items():
            rows[label][column] = Entry(summary, standing.get(label))
    deciding = columns[-1] if columns[-1].category in SUMS else columns[0]
    ordered = sorted(((label, row) for label, row in rows.items() if row), key=lambda row: _height(row[1], deciding))
    return Board(title, tuple(columns), dict(ordered), tuple(notes))


def _height(row: Mapping[Column, Entry], deciding: Column) -> float:
    entry = row.get(deciding)
    return -entry.summary.mean if entry is not None and entry.summary.mean is not None else float("inf")


def _other_samples(column: Column, numbers: Numbers, runs: Mapping[str, RunData]) -> Iterable[str]:
    """A line for every run that was not judged on the first one's samples."""
    first, *others = numbers[column]
    wanted = _ids(runs[first], column.category)
    for label in others:
        ids = _ids(runs[label], column.category)
        if ids != wanted:
            shared = f"{len(ids & wanted)} of {len(ids | wanted)} samples in both"
            yield f"{column.category}: {label} has other samples than {first} ({shared}); ranks rest on those in both"


def _ids(run: RunData, category: str) -> set[str]:
    return {sample.id for sample in run.samples.values() if belongs(run, sample, category)}


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
