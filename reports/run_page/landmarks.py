"""The few published numbers that stand on a run's own bars; all the others are in the tables below."""

from __future__ import annotations

from collections.abc import Sequence

from reports.published.peers import Peers
from reports.run_page.scores import Published, PublishedScore

FAMILIES = ("Janus-Pro-", "GoT-R1-")
"""The models that this project's runs start from, and those that they are to become."""


def landmarks(groups: Sequence[Peers]) -> Published:
    """(judge, row of the table) -> the families' published numbers, where the run's is comparable.

    Of two protocols the first that has the metric counts, so that no cell mixes them.
    """
    found: dict[tuple[str, str], list[PublishedScore]] = {}
    for group in groups:
        for metric in group.comparable:
            if (scores := _family(group, metric)) and group.cells[metric] not in found:
                found[group.cells[metric]] = scores
    return found


def _family(group: Peers, metric: str) -> list[PublishedScore]:
    """Told with their source where it is another one than the row's before."""
    scores: list[PublishedScore] = []
    before = ""
    for row in group.rows:
        if row.main and not row.transcribed and metric in row.values and row.model.startswith(FAMILIES):
            source = f"{group.protocol}; {row.source}"
            scores.append(PublishedScore(row.model, row.values[metric], "" if source == before else source))
            before = source
    return scores
