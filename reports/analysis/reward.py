"""Everything that the judgments of one run say about its reward."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.correlations import kendall, pearson, spearman
from gotr1_eval.core.statistics.intervals import Estimate, drawn_counts, estimate
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.summary import Summary, summarise
from gotr1_eval.core.types import Json, Sample
from reports.run_data import RunData
from reports.run_summary import ALL, summarise_run

TOTAL = "total"
DRAWS = 1000
"""Bootstrap draws of an interval."""


@dataclass(frozen=True, slots=True)
class Remade:
    """Totals that were made again from a run's judgments, as sample id -> value or outcome.

    Attributes:
        own: name of the rule that is taken for the run's own; empty where there is none.
        terms: sample id -> term -> value, of the own rule.
        without: factor -> sample id -> the own rule without it.
        totals: name of a rule -> sample id -> its total; the own rule first.
        impossible: name of a rule -> why these judges do not make it.
    """

    own: str
    terms: Mapping[str, Mapping[str, float]]
    without: Mapping[str, Mapping[str, Outcome]]
    totals: Mapping[str, Mapping[str, Outcome]]
    impossible: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the judgments of a run say about its reward.

    Attributes:
        own: the rule of its total.
        means: factor -> mean with counts and intervals, over all categories; the total last.
        decided: how often each of the total's terms is the smallest.
        correlations: every pair of factors.
        effects: every factor and the total against what the plan is like.
        rules: the total under every rule that these judges make, the own one first.
        without: the total with each factor left out.
        impossible: rule -> why it cannot be made.
    """

    own: str
    means: Mapping[str, Summary]
    decided: tuple[Decided, ...]
    correlations: tuple[Relation, ...]
    effects: tuple[Relation, ...]
    rules: tuple[Again, ...]
    without: tuple[Again, ...]
    impossible: Mapping[str, str]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return asdict(self)


def analyse(run: RunData, remade: Remade, seed: int = 0) -> Analysis:
    """Analyse a run.

    Args:
        remade: what the rules make of its judgments.
        seed: of the bootstrap.
    """
    columns = _columns(run)
    factors = [name for name in columns if name != TOTAL]
    own = _values(remade.totals.get(remade.own, {}))
    plan = plan_columns(list(run.samples.values()))
    everything = {**columns, **plan}
    rows = summarise_run(run).rows
    overall = rows[ALL] if ALL in rows else next(iter(rows.values()))
    return Analysis(
        own=remade.own,
        means={column.factor: overall[column.name] for column in run.judges},
        decided=tuple(decided(remade.terms)),
        correlations=tuple(relate(a, b, columns, seed) for a, b in itertools.combinations(factors, 2)),
        effects=tuple(relate(factor, trait, everything, seed) for factor in columns for trait in plan),
        rules=tuple(again(name, outcomes, own) for name, outcomes in remade.totals.items()),
        without=tuple(again(name, outcomes, own) for name, outcomes in remade.without.items()),
        impossible=dict(remade.impossible),
    )


def _columns(run: RunData) -> dict[str, Column]:
    """Factor -> sample id -> value."""
    return {column.factor: _values(run.outcomes[column.name]) for column in run.judges}


def _values(outcomes: Mapping[str, Outcome]) -> Column:
    return {sample: outcome.value for sample, outcome in outcomes.items() if isinstance(outcome, Score)}


Column = Mapping[str, float]
"""Sample id -> value; what has none is not in it."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How two columns go together over the samples that have both."""

    x: str
    y: str
    samples: int
    spearman: Estimate
    pearson: Estimate


def relate(x: str, y: str, columns: Mapping[str, Column], seed: int = 0) -> Relation:
    """Spearman and Pearson correlation of two columns, with 95 % intervals over prompts.

    The prompt of a sample is its id without the part behind the last slash.
    """
    # In a fixed order: draws would otherwise fall on other prompts where a run's rows stand in another order.
    shared = sorted(sample for sample in columns[x] if sample in columns[y])
    one, two = (np.array([columns[name][sample] for sample in shared]) for name in (x, y))
    if len(shared) < 2:
        nothing = Estimate(None, why="fewer than two samples have both")
        return Relation(x, y, len(shared), nothing, nothing)
    constant = next((name for name, values in ((x, one), (y, two)) if np.ptp(values) == 0), None)
    if constant is not None:
        nothing = Estimate(None, why=f"{constant} is the same everywhere")
        return Relation(x, y, len(shared), nothing, nothing)
    weights = _weights([sample.rpartition("/")[0] for sample in shared], seed)
    return Relation(x, y, len(shared), estimate(spearman(one, two, weights)), estimate(pearson(one, two, weights)))


def _weights(prompts: Sequence[str], seed: int) -> Floats:
    """[1 + draws, samples]: the data itself, then how often each draw of whole prompts holds each sample."""
    place = {name: index for index, name in enumerate(dict.fromkeys(prompts))}
    own = np.ones((1, len(prompts)))
    if len(place) < 2:
        return own
    counts = drawn_counts(len(place), np.random.default_rng(seed))[:DRAWS]
    return np.vstack([own, counts[:, [place[name] for name in prompts]]])


def plan_columns(samples: Sequence[Sample]) -> dict[str, Column]:
    """What a chain is like before any judge has seen it, of the samples that have one.

    chain words      words of the prose, boxes left out
    planned objects  named objects, with or without a readable box
    planned area     mean share of the picture that one planned box covers, where any can be read
    """
    words: dict[str, float] = {}
    objects: dict[str, float] = {}
    area: dict[str, float] = {}
    for sample in samples:
        if sample.chain is None:
            continue
        chain = parse_chain(sample.chain)
        words[sample.id] = len(chain.prose.split())
        objects[sample.id] = len(chain.objects)
        if chain.boxed:
            area[sample.id] = sum(box.area for _, box in chain.boxed) / len(chain.boxed)
    return {"chain words": words, "planned objects": objects, "planned area": area}


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
