"""Totals made again from judgments that are there: under other rules, or with a factor left out. No judge is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gotr1_eval.core.outcome import Outcome, Score
from rewards.rules import OF_CHAIN, RULES
from rewards.total import JudgeFacts, Total, TotalSettings, misfit

Judged = Mapping[str, Mapping[str, Outcome]]
"""Sample id -> factor -> outcome."""


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
