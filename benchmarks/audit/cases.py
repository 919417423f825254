"""What an audit is made of: cases with known answers, and checks that read the verdicts on them.

A case is a small family of samples that differ in one thing each, told apart by their role ("base", "mirrored",
...). A check says which roles it compares and what must hold between their scores. The known answers follow from how
the samples are made; no person and no model is asked for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from PIL import Image

from gotr1_eval.core.identifiers import sample_id
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Json, Sample

SUITE = "audit"


class Looks(StrEnum):
    """What a judge looks at, which decides what it can be asked."""

    PROSE = "prose"
    """Prompt, and the words of the chain."""
    PLAN = "plan"
    """Prompt, and the boxes of the chain."""
    GROUNDING = "grounding"
    """The boxes of the chain, and the picture."""
    PICTURE = "picture"
    """Prompt, and the picture."""
    QUESTIONS = "questions"
    """The prompt's own questions (the fact `questions`), and the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One sample of a case.

    Attributes:
        picture: draws the picture; None for samples without one.
        free: the prompt is worded freely, so that a judge of a fixed language may say that it cannot read it.
        facts: of the prompt, for judges that need some.
    """

    prompt: str
    chain: str | None = None
    picture: Callable[[], Image.Image] | None = None
    free: bool = False
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """Samples by role, for judges that look at the same things.

    Attributes:
        facts: what the case was made of (relation, distance, true boxes, ...); JSON values only.
    """

    looks: Looks
    variants: Mapping[str, Variant]
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scale:
    """How a judge's numbers are to be read.

    Attributes:
        verdict: from this value on the judge says yes; None where only the order of values means anything.
        step: values this far apart count as the same.
    """

    verdict: float | None
    step: float


Rule = Callable[[Mapping[str, Score], Scale, Mapping[str, Json]], bool | None]
"""(scores by role, scale, the case's facts) -> whether the answer is the known one; None where it does not apply."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question with a known answer; asked of every case that has all the roles."""

    name: str
    roles: tuple[str, ...]
    rule: Rule


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the audit: what it asks, of whom, and with which cases.

    Attributes:
        make: (seed, cases per kind of judge) -> cases.
    """

    name: str
    question: str
    looks: tuple[Looks, ...]
    checks: tuple[Check, ...]
    make: Callable[[str, int], Sequence[Case]]


@dataclass(frozen=True, slots=True)
class Planned:
    """A sample of the plan, and how its picture is drawn."""

    sample: Sample
    variant: Variant


def plan_part(part: Part, seed: int, count: int) -> list[Planned]:
    """Every sample of a part; a case's place is the prompt index of its samples, its roles their image index."""
    planned = []
    for index, case in enumerate(part.make(f"{seed}/{part.name}", count)):
        for place, (role, variant) in enumerate(case.variants.items()):
            meta: dict[str, Json] = {
                "category": part.name,
                "looks_at": case.looks.value,
                "role": role,
                "free": variant.free,
                "facts": dict(case.facts),
                **variant.facts,
            }
            name = sample_id(SUITE, part.name, index, place)
            planned.append(Planned(Sample(id=name, prompt=variant.prompt, chain=variant.chain, meta=meta), variant))
    return planned


def higher(more: str, less: str) -> Rule:
    """The first role scores higher than the second; a tie is a failure."""
    return lambda scores, scale, facts: scores[more].value > scores[less].value


def same(one: str, other: str) -> Rule:
    """The two roles score the same, to within a step."""
    return lambda scores, scale, facts: abs(scores[one].value - scores[other].value) <= scale.step


def no_higher(role: str, base: str) -> Rule:
    """The role gains nothing over the base, to within a step."""
    return lambda scores, scale, facts: scores[role].value <= scores[base].value + scale.step


def is_yes(role: str) -> Rule:
    """The judge says yes."""
    return lambda scores, scale, facts: scale.verdict is not None and scores[role].value >= scale.verdict


def is_no(role: str) -> Rule:
    """The judge says no."""
    return lambda scores, scale, facts: scale.verdict is not None and scores[role].value < scale.verdict


def both(*rules: Rule) -> Rule:
    """All rules hold."""
    return lambda scores, scale, facts: all(bool(rule(scores, scale, facts)) for rule in rules)
