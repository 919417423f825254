"""Totals: one reward from several judges, as a pure function of their outcomes.

The rules are in `rewards.rules`. A factor is a number in [0, 1]; a judge on another scale needs a map under `maps`:

    clip01              what lies outside [0, 1] becomes 0 or 1
    affine(low,high)    low becomes 0 and high 1, linearly; what lies outside becomes 0 or 1
    over(number)        divided by the number, as other projects scale a judge: over(26) is flow_grpo's PickScore (which
                        it does not cut off at 1), over(5) its UnifiedReward

A total with an `Unscored` factor is `Unscored`; no factor is ever dropped silently. A factor that may
not apply to every prompt must be named under `when_applicable`; where it does not apply the rule then leaves it out.
The total's name says all of this.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Protocol

from pydantic import Field

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Json
from gotr1_eval.settings import Settings
from rewards.rules import OF_CHAIN, Rule, find_rule

KNOWN = "'clip01', 'affine(low,high)' (for instance affine(0.2,0.35)) or 'over(number)'"
_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_OVER = re.compile(rf"over\({_NUMBER}\)")
_AFFINE = re.compile(rf"affine\({_NUMBER},{_NUMBER}\)")
VERSION = 2
TOTAL = "total"
"""What a reward set calls its total among its factors."""
RAW = ", raw"
"""Ends the name of the part that holds what a map was given."""
JudgeFacts = tuple[tuple[float, float], bool]
"""A judge's range, and whether it may not apply to a prompt."""


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map, cut off at 0 and 1: `low` becomes 0, `high` becomes 1."""

    name: str
    low: float
    high: float

    def __call__(self, value: float) -> float:
        """The value on the new scale, in [0, 1]."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def read_map(text: str) -> Map:
    """The map that a setting names.

    Raises:
        UsageError: no such map, or its ends are not finite and in order.
    """
    if text.strip() == "clip01":
        return Map("clip01", 0.0, 1.0)
    if (over := _OVER.fullmatch(text.strip())) is not None:
        high = float(over[1])
        if not (high > 0 and math.isfinite(high)):
            raise UsageError(f"map {text!r}: expected a number above 0")
        return Map(f"over({plain(high)})", 0.0, high)
    match = _AFFINE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"no map named {text!r}; expected {KNOWN}")
    low, high = float(match[1]), float(match[2])
    if not (low < high and math.isfinite(high - low)):
        raise UsageError(f"map {text!r}: the first number must be less than the second")
    return Map(f"affine({plain(low)},{plain(high)})", low, high)


def plain(number: float) -> str:
    """The number in full, whole ones without a decimal point: names that differ mean numbers that differ."""
    return repr(number).removesuffix(".0")


class Maker(Protocol):
    """A judge, as far as a total needs to know it."""

    @property
    def name(self) -> str:
        """Of the judge."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the judge."""
        ...


class TotalSettings(Settings):
    """How to make one reward of several.

    Attributes:
        rule: a name of `rewards.rules.RULES`, or ``weighted``.
        when_applicable: factors it may do without where they do not apply.
        maps: factor -> map to [0, 1]; see `rewards.total`.
        weights: factor -> weight, for the rule ``weighted`` only; the total's highest value is their sum.
    """

    rule: str
    when_applicable: tuple[str, ...] = ()
    maps: dict[str, str] = Field(default_factory=dict)
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)


class Total:
    """A named rule over named outcomes.

    Args:
        settings: see `TotalSettings`.
        judges: factor name -> facts of its judge.
        makers: factor name -> its judge. The total's name then ends with four digits that stand for the judges' names,
            and its fingerprint changes when any of theirs does.

    Raises:
        UsageError: an unknown rule or map, a factor without a judge, a judge whose values may leave [0, 1] and has no
            map, or a judge that may not apply and is not listed under `when_applicable`.
    """

    def __init__(
        self,
        settings: TotalSettings,
        judges: Mapping[str, JudgeFacts],
        makers: Mapping[str, Maker] | None = None,
    ) -> None:
        self.settings = settings
        self.rule = find_rule(settings.rule, settings.weights)
        self.maps = {factor: read_map(text) for factor, text in settings.maps.items()}
        self.optional = frozenset(settings.when_applicable)
        if fault := misfit(settings, self.rule, judges):
            raise UsageError(fault)
        self._makers = {factor: makers[factor] for factor in self.rule.factors} if makers else {}
        names: dict[str, Json] = {factor: maker.name for factor, maker in self._makers.items()}
        self.name = self._name(settings, f"of {fingerprint(names)[:4]}" if names else "")
        self.range = (0.0, self.rule.highest)

    @cached_property
    def fingerprint(self) -> str:
        """Formed when it is first asked for: a judge may have to ask its server for its own."""
        prints: dict[str, Json] = {factor: maker.fingerprint for factor, maker in self._makers.items()}
        return fingerprint({"total": self.name, "version": VERSION, "judges": prints})

    def __getstate__(self) -> dict[str, object]:
        """What travels to other processes: the fingerprint, but not the judges it stands for."""
        return {**self.__dict__, "fingerprint": self.fingerprint, "_makers": {}}

    def _name(self, settings: TotalSettings, judges: str) -> str:
        facts = [f"{factor} times {plain(weight)}" for factor, weight in sorted(settings.weights.items())]
        facts += [f"{factor} by {used.name}" for factor, used in sorted(self.maps.items())]
        facts += [f"{', '.join(sorted(self.optional))} when applicable"] if self.optional else []
        facts += [judges] if judges else []
        return f"total[{'; '.join([settings.rule, *facts])}]"

    def combine(self, outcomes: Mapping[str, Outcome], factors: Collection[str] | None = None) -> Outcome:
        """The total of one sample.

        Its parts are the factors' values as they entered, and ``<factor>, raw`` for those that a map changed.

        Args:
            outcomes: factor name -> outcome, at least for every factor of the rule.
            factors: of the rule, those that the total is made of, as in an ablation; None for all.
        """
        taken = [name for name in self.rule.factors if factors is None or name in factors]
        raw = self._raw(outcomes, taken)
        if isinstance(raw, Unscored):
            return raw
        absent = ", ".join(name for name in taken if name not in raw)
        values = self._mapped(raw)
        parts = values | {f"{name}{RAW}": raw[name] for name in raw if name in self.maps}
        note = f"does not apply: {absent}" if absent else ""
        return Score(value=self.rule.combine(values), parts=parts, note=note)

    def values(self, outcomes: Mapping[str, Outcome]) -> dict[str, float] | None:
        """The factors of one sample as they enter the rule, those that do not apply left out; None where unscored."""
        raw = self._raw(outcomes, self.rule.factors)
        return None if isinstance(raw, Unscored) else self._mapped(raw)

    def _raw(self, outcomes: Mapping[str, Outcome], factors: Sequence[str]) -> dict[str, float] | Unscored:
        raw: dict[str, float] = {}
        for name in factors:
            outcome = outcomes[name]
            if isinstance(outcome, Score):
                raw[name] = outcome.value
            elif not (outcome.why is Why.NOT_APPLICABLE and name in self.optional):
                return Unscored(why=outcome.why, detail=f"factor {name} is unscored: {outcome.detail}")
        if not raw:
            return Unscored(why=Why.NOT_APPLICABLE, detail=f"no factor applies: {', '.join(factors)}")
        return raw

    def _mapped(self, raw: Mapping[str, float]) -> dict[str, float]:
        return {name: self.maps[name](value) if name in self.maps else value for name, value in raw.items()}


def misfit(settings: TotalSettings, rule: Rule, judges: Mapping[str, JudgeFacts]) -> str:
    """Why these judges cannot make this total; empty where they can."""
    faults = [_fault_of_settings(settings, rule), *(_fault_of(name, settings, rule, judges) for name in rule.factors)]
    return next(filter(None, faults), "")


def _fault_of_settings(settings: TotalSettings, rule: Rule) -> str:
    where = f"total {settings.rule!r}"
    for name in settings.when_applicable:
        if name not in OF_CHAIN:
            return f"{where}: only semantic and spatial can be left out, not {name!r}"
        if rule.needs_all:
            return f"{where} adds its factors, which has no reading without one of them"
    for name in (*settings.when_applicable, *settings.maps):
        if name not in rule.factors:
            return f"{where} has no factor {name!r}; its factors are {', '.join(rule.factors)}"
    return ""


def _fault_of(name: str, settings: TotalSettings, rule: Rule, judges: Mapping[str, JudgeFacts]) -> str:
    where = f"total {settings.rule!r}"
    if name not in judges:
        without = settings.rule == "paper" and name == "aesthetic"
        hint = "; the total without it is 'paper_without_hps'" if without else ""
        return f"{where} needs a judge for the factor {name!r}{hint}"
    (low, high), may_not_apply = judges[name]
    if (low < 0 or high > 1) and name not in settings.maps:
        return (
            f"{where}: factor {name!r} ranges over [{low}, {high}], needed is [0, 1]; "
            f"name a map for it under maps: {KNOWN}"
        )
    if not may_not_apply or name in settings.when_applicable:
        return ""
    problem = f"{where}: factor {name!r} does not apply to every prompt"
    if rule.needs_all:
        return (
            f"{problem}, and a sum has no reading without one of its terms: use a rule that multiplies "
            "('paper_without_hps', 'geometric_mean', ...) with it as semantic or spatial, or "
            "a judge that applies to every prompt"
        )
    if name not in OF_CHAIN:
        return f"{problem}, and only semantic and spatial can be left out: use a judge that applies to every prompt"
    return f"{problem}; name it in when_applicable"
