"""The report card of a judge: a grade per part, which never stands without its count and its unscored share.

A check's rate is the share of its cases with the known answer, among those that were scored. A part's grade
is that of its worst check, because a judge that can be flattered is not made better by being indifferent to JPEG:
A from 0.95, B from 0.85, C from 0.70, D from 0.55, else F.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from scipy import stats

from benchmarks.audit.cases import Check, Looks, Part, Scale
from benchmarks.audit.examined import VARIANT
from benchmarks.audit.measures import Cases, drawn_and_written, grounding_measures, spatial_measures
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Json
from reports.run_data import RunData

GRADES = (("A", 0.95), ("B", 0.85), ("C", 0.70), ("D", 0.55), ("F", 0.0))
NO_VERDICT = "none"
STEPS = 8
"""A change is none when it is within this part of the range of values that the judge used in the audit."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How often the known answer came; `unscored` cases had a sample without a score."""

    name: str
    right: int
    wrong: int
    unscored: int
    not_applicable: int

    @property
    def scored(self) -> int:
        """Cases that count."""
        return self.right + self.wrong

    @property
    def rate(self) -> float | None:
        """Share of right answers, None without a scored case."""
        return self.right / self.scored if self.scored else None

    @property
    def grade(self) -> str:
        """A letter; "none" without a scored case."""
        rate = self.rate
        return NO_VERDICT if rate is None else next(letter for letter, least in GRADES if rate >= least)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the rate."""
        if not self.scored:
            return None
        found = stats.binomtest(self.right, self.scored).proportion_ci(0.95, "wilson")
        return float(found.low), float(found.high)


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part of the card.

    Attributes:
        why_not: why the part was not asked, empty when it was.
        samples, unscored: samples that this judge was due to score, and those it did not.
    """

    name: str
    question: str
    why_not: str
    checks: tuple[CheckResult, ...] = ()
    samples: int = 0
    unscored: int = 0
    measures: Mapping[str, Json] = field(default_factory=dict)

    @property
    def worst(self) -> CheckResult | None:
        """The check that decides the grade."""
        counted = [check for check in self.checks if check.rate is not None]
        return min(counted, key=lambda check: check.rate or 0.0) if counted else None

    @property
    def grade(self) -> str:
        """A letter; "none" when nothing was scored."""
        return NO_VERDICT if self.worst is None else self.worst.grade

    @property
    def unscored_share(self) -> float:
        """In [0, 1]."""
        return self.unscored / self.samples if self.samples else 0.0

    def __str__(self) -> str:
        if self.why_not:
            return f"not applicable: {self.why_not}"
        rate = "" if self.worst is None else f" {self.worst.rate:.2f}"
        return f"{self.grade}{rate} (n={self.samples - self.unscored}, unscored {self.unscored_share:.1%})"


@dataclass(frozen=True, slots=True)
class Card:
    """What an audit found out about one judge."""

    factor: str
    judge: str
    fingerprint: str
    looks_at: Looks
    parts: tuple[PartResult, ...]

    @property
    def coverage(self) -> float:
        """Share of the due samples that were scored, in [0, 1]."""
        due = sum(part.samples for part in self.parts)
        return 1 - sum(part.unscored for part in self.parts) / due if due else 1.0


def grade_run(run: RunData, parts: Sequence[Part], looks: Mapping[str, Looks]) -> list[Card]:
    """The cards of a judged run.

    Args:
        looks: factor -> what its judge looks at, for every judge that gets a card; variants have none of their own.
    """
    columns = {column.factor: column for column in run.judges}
    setup = cast(list[dict[str, Any]], run.info.setup["judges"])
    ranges = {str(row["factor"]): row["range"] for row in setup}
    cards = []
    for factor, kind in looks.items():
        column = columns[factor]
        outcomes = run.outcomes[column.name]
        scale = _scale(outcomes, kind, ranges[factor])
        variants = {
            name.partition(VARIANT)[2]: run.outcomes[other.name]
            for name, other in columns.items()
            if name.startswith(f"{factor}{VARIANT}")
        }
        results = [_part(part, run, kind, outcomes, variants, scale) for part in parts]
        cards.append(Card(factor, column.name, column.fingerprint, kind, tuple(results)))
    return cards


def _scale(outcomes: Mapping[str, Outcome], looks: Looks, range_: Sequence[float]) -> Scale:
    values = [outcome.value for outcome in outcomes.values() if isinstance(outcome, Score)]
    spread = max(values) - min(values) if values else 0.0
    verdict = (range_[0] + range_[1]) / 2 if looks in (Looks.PLAN, Looks.QUESTIONS) else None
    return Scale(verdict, spread / STEPS + 1e-9)


def _part(
    part: Part,
    run: RunData,
    looks: Looks,
    outcomes: Mapping[str, Outcome],
    variants: Mapping[str, Mapping[str, Outcome]],
    scale: Scale,
) -> PartResult:
    if looks not in part.looks:
        wanted = " or ".join(kind.value for kind in part.looks)
        return PartResult(part.name, part.question, f"for judges of {wanted}")
    cases = _cases(part, run, looks, outcomes, variants)
    own = [outcome for case, _ in cases for role, outcome in case.items() if VARIANT not in role]
    due = [outcome for outcome in own if not _not_applicable(outcome)]
    return PartResult(
        part.name,
        part.question,
        "",
        tuple(_check(check, cases, scale) for check in part.checks),
        samples=len(due),
        unscored=sum(isinstance(outcome, Unscored) for outcome in due),
        measures=_measures(part, run, looks, cases, variants, scale),
    )


_NOT_JUDGED = Unscored(why=Why.BACKEND, detail="not judged yet")


def _cases(
    part: Part,
    run: RunData,
    looks: Looks,
    outcomes: Mapping[str, Outcome],
    variants: Mapping[str, Mapping[str, Outcome]],
) -> Cases:
    """(outcomes by role, facts) of the part's cases for this kind of judge; a variant's under ``role~variant``."""
    found: dict[str, tuple[dict[str, Outcome], Mapping[str, Json]]] = {}
    for sample in run.samples.values():
        meta = sample.meta
        if meta["category"] != part.name or meta["looks_at"] != looks.value:
            continue
        facts = meta["facts"]
        case, _ = found.setdefault(sample.id.rpartition("/")[0], ({}, facts if isinstance(facts, dict) else {}))
        role = str(meta["role"])
        case[role] = outcomes.get(sample.id, _NOT_JUDGED)
        for name, others in variants.items():
            other = others.get(sample.id)
            if other is not None and not _not_applicable(other):
                case[f"{role}{VARIANT}{name}"] = other
    return list(found.values())


def _check(check: Check, cases: Cases, scale: Scale) -> CheckResult:
    right = wrong = unscored = not_applicable = 0
    for outcomes, facts in cases:
        needed = [outcomes[role] for role in check.roles if role in outcomes]
        scores = {role: outcome for role in check.roles if isinstance(outcome := outcomes.get(role), Score)}
        if len(needed) < len(check.roles) or any(_not_applicable(outcome) for outcome in needed):
            not_applicable += 1
        elif len(scores) < len(check.roles):
            unscored += 1
        elif (verdict := check.rule(scores, scale, facts)) is None:
            not_applicable += 1
        else:
            right += verdict
            wrong += not verdict
    return CheckResult(check.name, right, wrong, unscored, not_applicable)


def _not_applicable(outcome: Outcome) -> bool:
    return isinstance(outcome, Unscored) and outcome.why is Why.NOT_APPLICABLE


def _measures(
    part: Part,
    run: RunData,
    looks: Looks,
    cases: Cases,
    variants: Mapping[str, Mapping[str, Outcome]],
    scale: Scale,
) -> dict[str, Json]:
    if part.name == "grounding":
        return grounding_measures(cases)
    if part.name != "spatial" or scale.verdict is None:
        return {}
    measured = spatial_measures(cases, scale.verdict)
    for name in ("text", "drawn"):
        if name in variants:
            other = _cases(part, run, looks, variants[name], {})
            drawn, written = (cases, other) if name == "text" else (other, cases)
            measured["other_form"] = {"form": name, **spatial_measures(other, scale.verdict)}
            measured["drawn_against_written"] = drawn_and_written(drawn, written, scale.verdict)
    return measured


def card_json(cards: Sequence[Card]) -> list[dict[str, Json]]:
    """The cards as JSON values; a rate or interval is null where nothing was scored."""
    return [
        {
            "judge": card.judge,
            "factor": card.factor,
            "fingerprint": card.fingerprint,
            "looks_at": card.looks_at.value,
            "coverage": card.coverage,
            "parts": {part.name: _part_json(part) for part in card.parts},
        }
        for card in cards
    ]


def _part_json(part: PartResult) -> dict[str, Json]:
    if part.why_not:
        return {"grade": "not applicable", "why": part.why_not}
    checks: list[Json] = []
    for check in part.checks:
        counts: dict[str, Json] = {
            "right": check.right,
            "wrong": check.wrong,
            "unscored": check.unscored,
            "not_applicable": check.not_applicable,
        }
        interval: Json = None if check.interval is None else list(check.interval)
        checks.append({"check": check.name, "rate": check.rate, "interval": interval, **counts})
    return {
        "grade": part.grade,
        "decided_by": None if part.worst is None else part.worst.name,
        "rate": None if part.worst is None else part.worst.rate,
        "samples": part.samples,
        "unscored": part.unscored,
        "unscored_share": part.unscored_share,
        "checks": checks,
        "measures": dict(part.measures),
    }
