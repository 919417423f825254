"""The factors of a run's total: their means, which of them decides it, and what it would be without one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.correlations import kendall
from gotr1_eval.core.statistics.summary import Summary, summarise
from reports.analysis.relations import Column


@dataclass(frozen=True, slots=True)
class Decided:
    """How often a term is the smallest of a total's terms.

    Attributes:
        alone: samples in which it is smaller than every other.
        tied: samples in which it shares the smallest value.
        zero: samples in which it is exactly 0.
        samples: those whose total is scored and has this term.
    """

    term: str
    alone: int
    tied: int
    zero: int
    samples: int


@dataclass(frozen=True, slots=True)
class Again:
    """The total under another rule, or without a factor.

    Attributes:
        tau: Kendall's tau-b between the samples' order by the run's own total and by this one; None where one of them
            orders nothing, or the run has no total.
        samples: how many have both.
    """

    name: str
    summary: Summary
    tau: float | None
    samples: int


def decided(terms: Mapping[str, Mapping[str, float]]) -> list[Decided]:
    """Of every term, how often it is the smallest.

    Args:
        terms: sample id -> term -> value.
    """
    names = dict.fromkeys(name for values in terms.values() for name in values)
    return [_decided(name, [values for values in terms.values() if name in values]) for name in names]


def _decided(name: str, rows: list[Mapping[str, float]]) -> Decided:
    lowest = [row for row in rows if len(row) > 1 and row[name] == min(row.values())]
    alone = sum(list(row.values()).count(row[name]) == 1 for row in lowest)
    return Decided(name, alone, len(lowest) - alone, sum(row[name] == 0 for row in rows), len(rows))


def again(name: str, outcomes: Mapping[str, Outcome], own: Column) -> Again:
    """A total beside the run's own.

    Args:
        own: sample id -> the run's own total.
    """
    summary = summarise((sample.rpartition("/")[0], outcome) for sample, outcome in outcomes.items())
    values = {sample: outcome.value for sample, outcome in outcomes.items() if isinstance(outcome, Score)}
    shared = [sample for sample in own if sample in values]
    return Again(name, summary, kendall([own[s] for s in shared], [values[s] for s in shared]), len(shared))
