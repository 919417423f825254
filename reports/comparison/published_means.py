"""The published scores that a run may be laid beside, as known means."""

from __future__ import annotations

from collections.abc import Iterable

from gotr1_eval.core.errors import UsageError
from reports.comparison.unpaired import KnownMean
from reports.published.benchmark import benchmark_of
from reports.published.metrics import read_name
from reports.published.peers import Peers, peers_of
from reports.run_data import RunData
from reports.tables import TASK_MEAN, summarise_run


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
