"""A run's reward taken apart, and made again by other rules or without a factor: no judge is asked again.

from gotr1_eval import analyse_run
print(analyse_run("runs/demo").decided)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.settings import read_settings
from reports.analysis.reward import TOTAL, Analysis, Remade, analyse
from reports.run_data import RunData, load_run
from rewards.reward_set import read_reward_set
from rewards.rules import OF_CHAIN, RULES
from rewards.total import JudgeFacts, Total, TotalSettings, misfit

Judged = Mapping[str, Mapping[str, Outcome]]
"""Sample id -> factor -> outcome."""
Totals = Mapping[str, Outcome]
"""Sample id -> total."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What a total is made of, sample by sample; samples whose total is unscored are left out.

    Attributes:
        terms: sample id -> term -> what the rule multiplies or adds.
        without: factor -> sample id -> the total without that factor; a factor that alone makes a total is not there.
    """

    terms: Mapping[str, Mapping[str, float]]
    without: Mapping[str, Mapping[str, float]]


def other_totals(
    facts: Mapping[str, JudgeFacts], when_applicable: tuple[str, ...]
) -> tuple[dict[str, Total], dict[str, str]]:
    """Every named rule as a total of these judges: (name -> total, name -> why there is none).

    A judge whose values leave [0, 1] is cut off there (``clip01``), and the total's name says so.

    Args:
        facts: factor -> range of its judge, and whether it may not apply.
        when_applicable: factors that may be left out where they do not apply.
    """
    totals, reasons = {}, {}
    for name, rule in RULES.items():
        optional = tuple(factor for factor in when_applicable if factor in rule.factors and factor in OF_CHAIN)
        maps = {factor: "clip01" for factor in rule.factors if factor in facts and not _fraction(facts[factor])}
        settings = TotalSettings(rule=name, when_applicable=optional, maps=maps)
        if fault := misfit(settings, rule, facts):
            reasons[name] = fault
        else:
            totals[name] = Total(settings, facts)
    return totals, reasons


def _fraction(facts: JudgeFacts) -> bool:
    (low, high), _ = facts
    return low >= 0 and high <= 1


def make_again(total: Total, judged: Judged) -> dict[str, Outcome]:
    """Sample id -> the total of its judgments."""
    return {sample: total.combine(outcomes) for sample, outcomes in judged.items()}


def ablate(total: Total, judged: Judged) -> Ablation:
    """The terms of a total, and the total with each factor left out.

    A factor that does not apply to a sample is missing there already: leaving it out changes nothing.
    """
    entered = {sample: values for sample, outcomes in judged.items() if (values := total.values(outcomes)) is not None}
    without = {
        factor: {
            sample: total.rule.combine(rest)
            for sample, values in entered.items()
            if (rest := {name: value for name, value in values.items() if name != factor})
        }
        for factor in total.rule.factors
        if len(total.rule.factors) > 1
    }
    return Ablation({sample: total.rule.terms(values) for sample, values in entered.items()}, without)


def scores_of(outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """The values of those that are scored."""
    return {sample: outcome.value for sample, outcome in outcomes.items() if isinstance(outcome, Score)}


def analyse_run(run: RunData | Path | str, rewards: str | None = None) -> Analysis:
    """Analyse the reward of a run.

    Args:
        run: the run, or its folder.
        rewards: a reward set, by name or as a .toml file, whose total is taken for the run's own. Only its rule
            counts: the factors are those that the run's judges gave.

    Raises:
        UsageError: the run lacks a factor of that total.
    """
    if not isinstance(run, RunData):
        run = load_run(Path(run))
    return analyse(run, remake(run, rewards))


def remake(run: RunData, rewards: str | None = None) -> Remade:
    """The totals that the rules make of a run's judgments; see `analyse_run`."""
    judged = _judged(run)
    facts = _facts(run, judged)
    optional = tuple(factor for factor, (_, may_not_apply) in facts.items() if may_not_apply and factor in OF_CHAIN)
    totals, impossible = other_totals(facts, optional)
    again = {name: make_again(total, judged) for name, total in totals.items()}
    settings = _own_settings(run, rewards)
    if settings is None:
        return Remade("", {}, {}, again, impossible)
    own = Total(settings, facts)
    ablation = ablate(own, judged)
    without = {
        factor: {sample: Score(value=value) for sample, value in values.items()}
        for factor, values in ablation.without.items()
    }
    return Remade(
        settings.rule, ablation.terms, without, _first(settings.rule, make_again(own, judged), again), impossible
    )


def _first(name: str, outcomes: Totals, others: Mapping[str, Totals]) -> dict[str, Totals]:
    """The named one before all others, and instead of one of that name."""
    return {name: outcomes, **{other: of_other for other, of_other in others.items() if other != name}}


def _judged(run: RunData) -> dict[str, dict[str, Outcome]]:
    """Sample id -> factor -> outcome; what has not been judged yet is unscored."""
    missing = Unscored(why=Why.NO_INPUT, detail="not judged yet")
    factors = {column.factor: run.outcomes[column.name] for column in run.judges if column.factor != TOTAL}
    return {
        sample: {factor: outcomes.get(sample, missing) for factor, outcomes in factors.items()}
        for sample in run.samples
    }


def _facts(run: RunData, judged: Mapping[str, Mapping[str, Outcome]]) -> dict[str, JudgeFacts]:
    """Factor -> range of its judge, and whether it did not apply to some sample."""
    absent = {
        factor
        for outcomes in judged.values()
        for factor, outcome in outcomes.items()
        if isinstance(outcome, Unscored) and outcome.why is Why.NOT_APPLICABLE
    }
    return {column.factor: (column.range, column.factor in absent) for column in run.judges if column.factor != TOTAL}


def _own_settings(run: RunData, rewards: str | None) -> TotalSettings | None:
    """How the run's total was made, or the one that is asked for; None where there is none."""
    if rewards is not None:
        total = read_reward_set(rewards).total
        if total is None:
            raise UsageError(f"--rewards {rewards}: this reward set has no total")
        return total
    setup: Any = run.info.setup
    row = next((row for row in setup["judges"] if row["factor"] == TOTAL), None)
    if row is None:
        return None
    if "settings" not in row:
        raise UsageError(
            f"{run.folder}: this run does not say how its total was made; name its reward set with --rewards"
        )
    return read_settings(TotalSettings, row["settings"], where=str(run.folder / "run.json"))
