"""Everything that the judgments of one run say about its reward."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.summary import Summary
from gotr1_eval.core.types import Json
from reports.analysis.factors import Again, Decided, again, decided
from reports.analysis.relations import Column, Relation, plan_columns, relate
from reports.run_data import RunData
from reports.tables import ALL, summarise_run

TOTAL = "total"


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
