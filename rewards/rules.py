"""The rules of totals: which factors a reward takes, and how they become one number.

    paper                R_PI * R_PR * R_RI * R_HPS, R_PR = (R_sem + R_spa) / 2     paper, Eq. 3
    paper_without_hps    the same without the aesthetic factor
    readme               R_PI * (R_sem + R_spa) * R_RI         the released repository's README; up to 2
    geometric_mean       fourth root of R_PI * R_sem * R_spa * R_RI
    weighted             the sum of the factors named under `weights`, each times its weight

The rewards of the paper's ablation (Table 3):

    pr_only, ri_only, pi_only              one reward alone
    pr_pi, pr_ri, ri_pi                    the product of two
    without_spatial, without_semantic      R_PI * R_RI times the judge of the chain that is left
    sum                                    R_PI + R_PR + R_RI; up to 3

Factors: R_sem is `semantic`, R_spa `spatial`, R_RI `reasoning_image`, R_PI `prompt_image`, R_HPS `aesthetic`; R_PR is
the mean of the first two. The paper's table names no R_HPS, so its rows are read here as rewards without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gotr1_eval.core.errors import UsageError, nearest_name

Values = Mapping[str, float]
"""Factor -> value in [0, 1]."""

OF_CHAIN = ("semantic", "spatial")
"""The judges of the chain, the two halves of R_PR."""
_CHAIN_AND_IMAGE = (*OF_CHAIN, "reasoning_image", "prompt_image")


def _terms(values: Values) -> dict[str, float]:
    """The paper's terms: R_PR, the mean of the judges of the chain that are there, and every other factor."""
    of_chain = [name for name in OF_CHAIN if name in values]
    others = {name: value for name, value in values.items() if name not in OF_CHAIN}
    if not of_chain:
        return others
    return {" + ".join(of_chain): sum(values[name] for name in of_chain) / len(of_chain), **others}


def _factors(values: Values) -> dict[str, float]:
    return dict(values)


def _product(values: Values) -> float:
    return math.prod(_terms(values).values())


def _readme(values: Values) -> float:
    of_chain = [values[name] for name in OF_CHAIN if name in values]
    return (math.fsum(of_chain) if of_chain else 1.0) * math.prod(
        value for name, value in values.items() if name not in OF_CHAIN
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """How a total is made.

    Attributes:
        factors: the names of the judges it needs.
        combine: their values, each in [0, 1], to the total; without some of them, to the total of an ablation.
        highest: the greatest value it can give.
        needs_all: where a factor does not apply to a sample, the rest is no total on the same scale.
        terms: what is multiplied or added, by name.
    """

    factors: tuple[str, ...]
    combine: Callable[[Values], float] = _product
    highest: float = 1.0
    needs_all: bool = False
    terms: Callable[[Values], dict[str, float]] = _terms


RULES: dict[str, Rule] = {
    "paper": Rule((*_CHAIN_AND_IMAGE, "aesthetic")),
    "paper_without_hps": Rule(_CHAIN_AND_IMAGE),
    "readme": Rule(_CHAIN_AND_IMAGE, _readme, highest=2.0, needs_all=True),
    "geometric_mean": Rule(
        _CHAIN_AND_IMAGE, lambda values: math.prod(values.values()) ** (1 / len(values)), terms=_factors
    ),
    "pr_only": Rule(OF_CHAIN),
    "ri_only": Rule(("reasoning_image",)),
    "pi_only": Rule(("prompt_image",)),
    "pr_pi": Rule((*OF_CHAIN, "prompt_image")),
    "pr_ri": Rule((*OF_CHAIN, "reasoning_image")),
    "ri_pi": Rule(("reasoning_image", "prompt_image")),
    "without_spatial": Rule(("semantic", "reasoning_image", "prompt_image")),
    "without_semantic": Rule(("spatial", "reasoning_image", "prompt_image")),
    "sum": Rule(_CHAIN_AND_IMAGE, lambda values: sum(_terms(values).values()), highest=3.0),
}
WEIGHTED = "weighted"


def find_rule(name: str, weights: Mapping[str, float]) -> Rule:
    """The rule of that name.

    Args:
        weights: factor -> weight, for `WEIGHTED` only.

    Raises:
        UsageError: no such rule; the rule is `WEIGHTED` and there are no weights, or it is another and there are.
    """
    if name == WEIGHTED and weights:
        return _weighted(dict(weights))
    if name == WEIGHTED or weights:
        raise UsageError(f"total {name!r}: the rule 'weighted' and a table of weights need each other")
    if name not in RULES:
        known = ", ".join([*RULES, WEIGHTED])
        raise UsageError(f"no total named {name!r}{nearest_name(name, RULES)} (known: {known})")
    return RULES[name]


def _weighted(weights: dict[str, float]) -> Rule:
    def combine(values: Values) -> float:
        return sum(terms(values).values())

    def terms(values: Values) -> dict[str, float]:
        return {factor: weight * values[factor] for factor, weight in weights.items() if factor in values}

    return Rule(tuple(weights), combine, highest=sum(weights.values()), needs_all=True, terms=terms)
