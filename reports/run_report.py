"""What is told and written of a finished run, whatever its size: its table, its page, its odd and unscored samples.

A run in parts may be too large to be held, and is read in one pass over its parts: values wait in a temporary file that
SQLite removes itself, until the statistics read them prompt by prompt; the page shows samples taken evenly from the
whole run.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.summary import Summary, kind, summarise_groups
from gotr1_eval.runs.parquet_parts import Part, PartFolder, parts_of
from gotr1_eval.runs.store import read_info
from reports.run_data import JudgeColumn, RunData, assemble_run, load_run
from reports.run_page.page import write_page
from reports.run_summary import Table, judged_samples, row_tasks, summarise_run
from reports.score_export import remark_lines, unscored_lines, write_scores

KEPT = 2000
"""Most samples that the page is made of."""
LINES = 100
"""Most remarks, and most unscored samples, that are named; most kinds of them that are counted apart."""
OTHERS = "of other kinds"


@dataclass(slots=True)
class Lines:
    """The first of many lines, and how many there are of each kind, with the first line of the kind."""

    first: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, lines: Sequence[tuple[str, str]]) -> None:
        """Count (kind, line) pairs, and keep the lines as long as there are few."""
        self.first += [line for _, line in lines[: LINES - len(self.first)]]
        for name, line in lines:
            known = name if name in self.kinds or len(self.kinds) < LINES else OTHERS
            self.kinds[known] += 1
            self.examples.setdefault(known, line)

    @property
    def count(self) -> int:
        """How many there are in all."""
        return self.kinds.total()

    @property
    def grouped(self) -> list[str]:
        """A line a kind: the most frequent first, with an example."""
        return [
            self.examples[name] if count == 1 else f"{count} samples: {name}; such as {self.examples[name]}"
            for name, count in self.kinds.most_common()
        ]


@dataclass(frozen=True, slots=True)
class Digest:
    """What is told of a run: its table, the evenly taken samples, what was odd, and what was not scored."""

    table: Table
    run: RunData
    remarks: Lines
    unscored: Lines


def write_report(
    folder: Path, min_coverage: float, *, everything: bool = False, before: RunData | None = None
) -> tuple[Digest, Path]:
    """Write a run's page, and its scores.csv where no parts are the table of its scores; what is told, and the page.

    Args:
        min_coverage: a cell of the table with fewer scored samples is a gap.
        everything: the page shows all samples, with files beside it.
        before: another run, whose pictures of the same samples the page shows beside.
    """
    parts = parts_of(folder)
    told = _digest_whole(folder, min_coverage) if parts is None else digest(folder, parts, min_coverage)
    return told, write_page(told.run, told.table, everything=everything, before=before)


def _digest_whole(folder: Path, min_coverage: float) -> Digest:
    """The digest of a run that is held in memory."""
    run = load_run(folder)
    write_scores(run)
    remarks, unscored = Lines(), Lines()
    remarks.add(remark_lines(run))
    unscored.add(unscored_lines(run))
    return Digest(summarise_run(run, min_coverage), run, remarks, unscored)


def digest(folder: Path, parts: PartFolder, min_coverage: float) -> Digest:
    """Read the parts of a run once, one at a time.

    Raises:
        DataError: a part cannot be read.
    """
    info = read_info(folder)
    whole = assemble_run(folder, info, {}, ())
    expected = sum(whole.expected.values())
    thinned = Part([])
    remarks, unscored, seen = Lines(), Lines(), 0
    with closing(_Values()) as values:
        for number in parts.numbers():
            part = parts.read(number)
            samples = {sample.id: sample for sample in part.samples if sample.generator is not None}
            piece = assemble_run(folder, info, samples, part.judgments.values())
            piece = replace(piece, expected=Counter(piece.category(sample) for sample in samples.values()))
            values.add(piece)
            remarks.add(remark_lines(piece))
            unscored.add(unscored_lines(piece))
            every = -(-expected // KEPT)
            kept = {name: one for place, (name, one) in enumerate(samples.items(), seen) if place % every == 0}
            thinned.samples += kept.values()
            thinned.judgments |= {key: one for key, one in part.judgments.items() if one.sample in kept}
            seen += len(samples)
        table = _table(whole, values, min_coverage)
    shown = assemble_run(folder, info, {one.id: one for one in thinned.samples}, thinned.judgments.values())
    return Digest(table, replace(shown, left_out=seen - len(shown.samples)), remarks, unscored)


def _table(run: RunData, values: _Values, min_coverage: float) -> Table:
    rows = {
        name: {column.name: values.summary(column, tasks, run) for column in run.judges}
        for name, tasks in row_tasks(run).items()
    }
    return Table(run.judges, rows, min_coverage)


class _Values:
    """The scored values of a run, by judge, category and prompt, and how many samples ended how."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
            "CREATE TABLE seen (judge TEXT, category TEXT, prompt TEXT, value REAL); BEGIN"
        )
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, run: RunData) -> None:
        """One more part of the run."""
        for judge in run.outcomes:
            for category in run.expected:
                judged = judged_samples(run, [category], judge)
                self._counts.update((judge, category, kind(outcome)) for _, outcome in judged)
                scored = [
                    (judge, category, prompt, outcome.value) for prompt, outcome in judged if isinstance(outcome, Score)
                ]
                self._rows.executemany("INSERT INTO seen VALUES (?, ?, ?, ?)", scored)

    def summary(self, column: JudgeColumn, tasks: Sequence[Sequence[str]], run: RunData) -> Summary:
        """One cell of the table: the mean of the tasks' means, a task being some categories pooled."""
        judge, counts = column.name, Counter[str]()
        for category in {name for task in tasks for name in task}:
            found = Counter({how: n for (j, c, how), n in self._counts.items() if (j, c) == (judge, category)})
            found["missing"] += run.expected[category] - found.total()
            counts += found
        groups = [_Groups(self._rows, judge, task) for task in tasks]
        return summarise_groups([each for each in groups if len(each)], counts, within=column.range)

    def close(self) -> None:
        """Remove the temporary file."""
        self._rows.close()


class _Groups(Collection[Sequence[float]]):
    """The values of each prompt, in the order in which the prompts were first seen; read anew by every iteration."""

    def __init__(self, rows: sqlite3.Connection, judge: str, categories: Sequence[str]) -> None:
        self._rows = rows
        self._which = f"judge = ? AND category IN ({', '.join('?' * len(categories))})"
        self._values = (judge, *categories)
        ((self._prompts,),) = rows.execute(f"SELECT COUNT(DISTINCT prompt) FROM seen WHERE {self._which}", self._values)

    def __len__(self) -> int:
        return int(self._prompts)

    def __contains__(self, group: object) -> bool:
        return any(values == group for values in self)

    def __iter__(self) -> Iterator[list[float]]:
        order = "MIN(rowid) OVER (PARTITION BY prompt), rowid"
        found = self._rows.execute(f"SELECT prompt, value FROM seen WHERE {self._which} ORDER BY {order}", self._values)
        for _, pairs in groupby(found, key=lambda row: row[0]):
            yield [value for _, value in pairs]
