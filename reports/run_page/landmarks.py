"""The few published numbers that stand on a run's own bars; all the others are in the tables below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.published.metrics import read_name
from reports.published.peers import Peers
from reports.run_data import RunData
from reports.tables import TASK_MEAN

FAMILIES = ("Janus-Pro-", "GoT-R1-")
"""The models that this project's runs start from, and those that they are to become."""


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """Who scored how much, and where that is printed; without a source it is that of the score before."""

    label: str
    value: float
    source: str = ""


Published = Mapping[tuple[str, str], Sequence[PublishedScore]]
"""(judge, row of the table) -> published scores, for cells that have any."""


def landmarks(run: RunData, groups: Sequence[Peers]) -> Published:
    """The families' published scores, where the run's is comparable.

    Of two protocols the first that has the metric counts, so that no cell mixes them.
    """
    found: dict[tuple[str, str], list[PublishedScore]] = {}
    for metric, cell in _cells(run):
        for group in groups:
            if metric in group.comparable and cell not in found and (scores := _family(group, metric)):
                found[cell] = scores
    return found


def _cells(run: RunData) -> Iterator[tuple[str, tuple[str, str]]]:
    """(official metric, (judge, row of the table)) of a run's judges."""
    for column in run.judges:
        if (name := read_name(column.name, run)) is not None:
            yield from ((category, (column.name, category)) for category in name.categories)
            if overall := name.benchmark.mean_of_categories:
                yield overall, (column.name, TASK_MEAN)


def _family(group: Peers, metric: str) -> list[PublishedScore]:
    scores: list[PublishedScore] = []
    before = ""
    for row in group.rows:
        if row.main and not row.transcribed and metric in row.values and row.model.startswith(FAMILIES):
            source = f"{group.protocol}; {row.source}"
            scores.append(PublishedScore(row.model, row.values[metric], "" if source == before else source))
            before = source
    return scores
