"""A run against a table of means: all that is known of the others is one number a category.

Nothing can be paired, and the noise of the other number is not known: it is taken for exact. What is said is therefore
whether the run's own mean is above or below that number beyond the run's own noise over prompts, and no more.

The means are those of a file, or the published scores that the run may be laid beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.statistics.intervals import clustered_mean
from gotr1_eval.core.statistics.significance import LEVEL, holm, student_p
from gotr1_eval.core.statistics.summary import Summary
from gotr1_eval.core.types import Json
from gotr1_eval.files.tables import Row, read_table
from reports.comparison.ranks import by_prompt, scores_of
from reports.documents import Cell, Document, Grid, Record
from reports.origins import Origin, footer, origin, run_labels
from reports.published.benchmark import benchmark_of
from reports.published.metrics import read_name
from reports.published.peers import Peers, peers_of
from reports.run_data import JudgeColumn, RunData
from reports.run_summary import TASK_MEAN, summarise_run

CAVEAT = (
    "unpaired: of the other side only means are known; their own noise, prompts and settings are not, and are not "
    "counted. above, below: Student's test over prompts, Holm's correction over the categories of a known row."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMean:
    """One number of a table. `judge` is the full name of what made it, where the table says so."""

    model: str
    category: str
    score: float
    judge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstMean:
    """A run's mean in one category against a known one.

    Attributes:
        own: the run's, with its interval over prompts.
        difference: own mean minus the known one; None where nothing is scored.
        adjusted_p: that the run's true mean is the known one, by Student's test with prompts as clusters, after Holm's
            correction over the categories of a model; 1.0 without two prompts.
    """

    known: KnownMean
    judge: str
    own: Summary
    difference: float | None
    adjusted_p: float

    @property
    def verdict(self) -> str:
        """ "above" or "below" the known mean, or "within noise"."""
        if self.difference is None or self.adjusted_p >= LEVEL:
            return "within noise"
        return "above" if self.difference > 0 else "below"

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {**asdict(self), "verdict": self.verdict}


def read_means(path: Path) -> list[KnownMean]:
    """A table of means with the columns model, category, score, and perhaps judge; see `gotr1_eval.files.tables`.

    Raises:
        DataError: it cannot be read, lacks a column, or a score is no finite number; names file and line.
    """
    needed = ("model", "category", "score")
    means = []
    for row in read_table(str(path)):
        if any(name not in row.cells for name in needed):
            came = one_line(", ".join(row.cells))
            raise DataError(f"needed the columns model, category and score (found: {came})", path=path)
        means.append(_mean(row))
    if not means:
        raise DataError("needed the columns model, category and score, and a row (found: none)", path=path)
    return means


def _mean(row: Row) -> KnownMean:
    cells = row.cells
    try:
        score = float(cells["score"])
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise row.fault(f"expected a number under 'score', got {cells['score']!r}")
    return KnownMean(
        model=str(cells["model"]), category=str(cells["category"]), score=score, judge=str(cells.get("judge") or "")
    )


def against_means(run: RunData, means: Sequence[KnownMean], judge: str | None = None) -> list[AgainstMean]:
    """The run against every known mean of its categories, model by model.

    Args:
        judge: the one whose means are meant (full name or factor), for means that name none.

    Raises:
        UsageError: means name no judge and none is given; the run lacks the judge; or no category is shared.
    """
    table = summarise_run(run).rows
    rows: list[AgainstMean] = []
    for model in dict.fromkeys(mean.model for mean in means):
        found = [
            _against(run, mean, _judge_of(run, mean, judge), table)
            for mean in means
            if mean.model == model and mean.category in table
        ]
        adjusted = holm([row.adjusted_p for row in found])
        rows += [replace(row, adjusted_p=p) for row, p in zip(found, adjusted, strict=True)]
    if not rows:
        raise UsageError(
            f"compare: no category in common ({run.folder} has {', '.join(table)}; "
            f"the table has {', '.join(dict.fromkeys(mean.category for mean in means)) or 'none'})"
        )
    return rows


def _judge_of(run: RunData, mean: KnownMean, judge: str | None) -> JudgeColumn:
    wanted = mean.judge or judge
    names = ", ".join(column.name for column in run.judges)
    if wanted is None:
        raise UsageError(
            f"compare: the table does not say which judge made its means; name one with --judges ({names})"
        )
    for column in run.judges:
        if wanted in (column.name, column.factor):
            return column
    raise UsageError(f"compare: {run.folder} has no judge {wanted!r} (it has {names})")


def _against(
    run: RunData, mean: KnownMean, judge: JudgeColumn, table: Mapping[str, Mapping[str, Summary]]
) -> AgainstMean:
    own = table[mean.category][judge.name]
    difference = None if own.mean is None else own.mean - mean.score
    p = 1.0 if difference is None else _p(run, mean, judge.name)
    return AgainstMean(known=mean, judge=judge.name, own=own, difference=difference, adjusted_p=p)


def _p(run: RunData, known: KnownMean, judge: str) -> float:
    """Two-sided, of Student's test that the mean over prompts like these is the known one."""
    mean, error, prompts = clustered_mean(by_prompt(scores_of(run, judge, known.category)))
    if prompts < 2:
        return 1.0
    if error == 0:
        return 1.0 if mean == known.score else 0.0
    return student_p(mean - known.score, error, prompts - 1)


def published_means(run: RunData) -> tuple[list[KnownMean], list[str]]:
    """The main published scores of every metric of the run that is made as they are, and why others are left out.

    Raises:
        UsageError: none of the run's numbers may be laid beside a published one.
    """
    groups = peers_of(run, summarise_run(run))
    reasons = {metric: faults for group in groups for metric, faults in group.faults.items() if faults}
    notes = [f"{metric}: not comparable with published numbers: {'; '.join(why)}" for metric, why in reasons.items()]
    means = [mean for group in groups for mean in _means(run, group)]
    if not means:
        why = "; ".join(notes) or "it has no official metric"
        raise UsageError(f"compare: nothing of {run.folder} may be laid beside published numbers ({why})")
    return means, notes


def _means(run: RunData, group: Peers) -> Iterable[KnownMean]:
    for row in group.rows:
        if not row.main:
            continue
        for metric in group.comparable:
            if metric in row.values:
                category = TASK_MEAN if metric == benchmark_of(run).mean_of_categories else metric
                model = f"{row.model} ({group.protocol}; {row.source}{'; transcribed' if row.transcribed else ''})"
                yield KnownMean(model=model, category=category, score=row.values[metric], judge=_judge(run, metric))


def _judge(run: RunData, metric: str) -> str:
    """The full name of the official metric's judge."""
    for column in run.judges:
        name = read_name(column.name, run)
        if name is not None and metric in (*name.categories, name.benchmark.mean_of_categories):
            return column.name
    raise AssertionError(f"peers_of lists {metric!r}, which no judge of the run makes")


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
