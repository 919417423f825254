"""What a judge answers: a `Score`, or an `Unscored` with the reason. Never a default number.

An `Unscored` has no value and does not convert to one, so that forgetting this case is a type error
and not a silent zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gotr1_eval.core.secrets import redact
from gotr1_eval.core.types import Detection


class Why(StrEnum):
    """Why there is no score."""

    UNREADABLE = "unreadable"
    """The judge answered, but no value can be read from it with certainty."""
    TRUNCATED = "truncated"
    """The judge's answer was cut off before the value."""
    REFUSED = "refused"
    """The judge declined to answer."""
    BACKEND = "backend"
    """The model or server failed (also out of memory); asked again on every resume."""
    NO_INPUT = "no_input"
    """What the judge needs is missing: no chain, no picture, or a picture that cannot be opened."""
    NOT_GENERATED = "not_generated"
    """The generator made no picture and says why: its safety checker, a server's refusal; no fault of any judge."""
    UNDEFINED = "undefined"
    """The metric has no value for this input; an official script ends there with an exception."""
    NOT_APPLICABLE = "not_applicable"
    """The judge has nothing to say about this prompt; no failure, counted apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, verbatim.

    Attributes:
        text: the raw text.
        model: the model that said it.
        finish: why it stopped (``stop``, ``length``, ...), where known.
        choice_log_probs: natural logarithm of the probability that the answer goes on with each of the request's
            choices (the product over its tokens) and not with a longer one that begins alike; empty without choices.
        first_tokens: natural logarithm of the probability of the token that each of the request's `first_tokens` begins
            with, each token once, by the first text that begins with it; None where a server did not list it.
        unlisted: log-probability that no token exceeds which the server did not list; None where nothing is unlisted.
        thought: what the model thought before, where a server tells it apart from the answer; never read as one.
    """

    text: str
    model: str
    finish: str | None = None
    choice_log_probs: tuple[float, ...] = ()
    thought: str = ""
    first_tokens: Mapping[str, float | None] = field(default_factory=dict)
    unlisted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionVerdict:
    """What a judge made of one question about a picture.

    Attributes:
        question: its id in the prompt's checklist.
        text: its words.
        tag: the kind of question.
        verdict: as it was read, in [0, 1]; None where it was not answered.
        counted: the verdict after the rule of dependency, which entered the picture's value.
        picture: the place of the picture where several were cut out of one, otherwise 0.
        replies: places of its raw replies among the outcome's.
        why: why it was not answered, in words; empty where it was.
    """

    question: str
    text: str
    tag: str = ""
    verdict: float | None
    counted: float | None
    picture: int = 0
    replies: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A judge's verdict.

    Attributes:
        value: finite, within the judge's declared range (checked by `check_range`).
        parts: named components that explain the value, each finite.
        replies: the raw model replies it was read from.
        seen: what was found in the picture, for people to look at.
        note: one sentence where the value needs a word ("no readable box in the chain").
        questions: the verdicts on single questions that the value was made of, where there were any.

    Numbers of numpy and torch become Python's, which JSON can hold.

    Raises:
        ValueError: the value or a part is not a finite number.
        TypeError: it is no number at all.
    """

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    replies: tuple[Reply, ...] = ()
    seen: tuple[Detection, ...] = ()
    note: str = ""
    questions: tuple[QuestionVerdict, ...] = ()

    def __post_init__(self) -> None:
        value, *parts = (_finite(name, number) for name, number in [("value", self.value), *self.parts.items()])
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "parts", dict(zip(self.parts, parts, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """The judge could not score this sample, and says why."""

    why: Why
    detail: str = ""
    replies: tuple[Reply, ...] = ()
    questions: tuple[QuestionVerdict, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", redact(str(self.detail)))


Outcome = Score | Unscored


def _finite(name: str, number: object) -> float:
    if isinstance(number, str) or not hasattr(number, "__float__"):
        raise TypeError(f"a score needs numbers, got {name} = {number!r}")
    if not math.isfinite(plain := float(number)):
        raise ValueError(f"a score needs finite numbers, got {name} = {number!r}")
    return plain


def check_range(outcome: Outcome, low: float, high: float, judge: str) -> Outcome:
    """The outcome itself, when its value lies in the judge's declared range.

    Raises:
        ValueError: it does not, which is a bug in the judge.
        TypeError: it is no outcome, which is one, too.
    """
    if not isinstance(outcome, Score | Unscored):
        raise TypeError(f"judge {judge!r} must answer Score or Unscored, got {outcome!r}")
    if isinstance(outcome, Score) and not low <= outcome.value <= high:
        raise ValueError(f"judge {judge!r} declares the range [{low}, {high}] but scored {outcome.value!r}")
    return outcome
