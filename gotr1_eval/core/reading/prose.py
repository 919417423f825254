"""Scores declared in prose instead of JSON.

Exactly these shapes count, and no other number in prose does:

- a label at the start of a line or sentence: ``Score: 8``, ``**Final score:** 8/10``, ``The overall score is 8.``;
- one sentence that gives its verdict: ``I would rate this 8 out of 10.``, ``I give it a score of 8.``;
- a tag or box: ``<score>8</score>``, ``\\boxed{8}``;
- an answer that is nothing but a number, fences and markup aside: ``8``, ``8/10``.

A label followed by digits that do not read as one number (``Score: 8-9``) is a declaration that cannot be read; it is
not passed over in favour of an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gotr1_eval.core.reading.numbers import SCALED, checked
from gotr1_eval.core.reading.reply import UnreadableReply

_TAIL = (
    r"[*_`\"')}\]$]{0,4}"
    r"(?=\s*\Z|[ \t]*\n|[.!;](?:\s|\Z)|[*_`]{0,3}[ \t]+(?:points?\b|because\b|since\b|as\b)"
    r"|(?:,|[ \t]+[-–—]|[ \t]*\()[ \t]*[^\W\d][^\n0-9]*(?:\n|\Z)|[ \t]*\|[^\n0-9]*(?:\n|\Z))"
)
_DECLARED = re.compile(SCALED + _TAIL, re.I)
_DIGIT = re.compile(r"[-+~≈]?\s?[0-9]")
_WHOLE = re.compile(rf"[\s`*_#\"'(]{{0,12}}(?:json|text)?\s*{SCALED}[\s`*_\"').]*", re.I)
_TAG = re.compile(r"</?(?:answer|score|rating|result)>|<\|[a-z_]+\|>", re.I)
_VERDICT = re.compile(
    r"\bI(?:['’]d| would| will|['’]ll| can| am going to)?\s+(?:rate|give|score|assign|award)\b"
    r"(?P<middle>[^.!?\n0-9]{0,80}?)(?<![0-9./])(?=[0-9])",
    re.I,
)
_NEUTRAL = re.compile(
    r"(?:\b(?:an?|as|at|with|of|this|that|the|it|its?|overall|final|total|generated|image|picture|result|plan|layout|chain|text"
    r"|description|answer|score|rating|mark)\b|[\s*_`:,\"'])*+",
    re.I,
)
"""A verdict on anything more special, the colours say, is not the score; nor is one with a condition or a negation."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A number declared in prose, at [start, end); without a number it cannot be read."""

    start: int
    end: int
    number: str | None = None
    scale: str | None = None

    def value(self, *, low: float, high: float) -> float:
        """The number, checked against its scale.

        Raises:
            UnreadableReply: there is none, or it is not on the scale.
        """
        if self.number is None:
            raise UnreadableReply(f"The score is not one plain number from {low:g} to {high:g}.")
        return checked(self.number, self.scale, low=low, high=high)


def declared_in_prose(text: str, key: str, *, verdicts: bool = True) -> list[Declared]:
    """Every declaration of a score in prose, in order.

    Args:
        text: the answer, with the structures read elsewhere blanked out.
        key: what the score is called.
        verdicts: also take the shapes that do not name it (a verdict with its scale, a lone number, ``\\boxed{8}``).
    """
    found = [_declaration(text, match.start(), match.end(), top=match["top"]) for match in _label(key).finditer(text)]
    if verdicts:
        found += _verdicts(text, key)
        if whole := _WHOLE.fullmatch(_TAG.sub("", text[:200])) if len(text) <= 200 else None:
            found.append(Declared(0, len(text), whole["number"], whole["scale"]))
    return sorted((one for one in found if one is not None), key=lambda one: one.end)


def _declaration(text: str, start: int, position: int, *, top: str | None = None) -> Declared | None:
    """What the digits at `position` declare; None when no digits stand there.

    Args:
        top: the end of the scale, where the label states it ("Score (0-10): 8").
    """
    if not _DIGIT.match(text, position):
        return None
    match = _DECLARED.match(text, position)
    if match is None:
        return Declared(start, position)
    return Declared(start, match.end(), match["number"], match["scale"] or (top.strip(".") if top else None))


def _verdicts(text: str, key: str) -> Iterator[Declared | None]:
    named = _words(key)
    for match in _VERDICT.finditer(text):
        if not _NEUTRAL.fullmatch(match["middle"]):
            continue
        one = _declaration(text, match.start(), match.end())
        if one is not None and (one.scale or re.search(rf"\b{named}\s+of\s*[*_`]*$", match["middle"], re.I)):
            yield one


def refuse_other_mention(text: str, end: int, key: str, value: float) -> None:
    """Refuse an answer that names another score afterwards ("but then the score is 5").

    Raises:
        UnreadableReply: a number other than the value is called the score behind the position.
    """
    for mention in _mention(key).finditer(text, end):
        if float(mention[1]) != value:
            raise UnreadableReply(f"The answer names another score, {mention[1][:20]}, after its own.")


@lru_cache(maxsize=256)
def _mention(key: str) -> re.Pattern[str]:
    link = r"(?:is|:|=|of|to|becomes|(?:would|should) be)"
    return re.compile(
        rf"\b{_words(key)}[*_\"']{{0,3}}\s{{0,3}}{link}\s{{0,3}}[*_]{{0,3}}([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)", re.I
    )


@lru_cache(maxsize=256)
def _label(key: str) -> re.Pattern[str]:
    """The label of a score, up to where its number must begin."""
    named = _words(key)
    return re.compile(
        r"(?:^|(?<=[.!?;]\s))[ \t>*#_`\"'{(•|-]{0,12}(?:[0-9]{1,2}[.)][ \t]+[*_`]{0,3})?"
        r"(?:(?:so|thus|therefore|hence|overall|in conclusion|answer)[,:]?[ \t]+)?"
        rf"(?:(?:my|the|your|final|overall|total)[ \t]+){{0,3}}{named}[*_`\"')]{{0,4}}[ \t]{{0,3}}"
        r"(?:\([^()\n0-9]{0,20}(?:[0-9.]{1,5}[^()\n0-9]{1,6})?(?P<top>[0-9.]{1,6})\)[*_`]{0,3}[ \t]{0,3})?"
        r"(?::|=|\||is\b|would be\b)\s{0,4}[*_`\"'(]{0,4}[ \t]{0,3}"
        rf"|<{named}>\s{{0,4}}(?=[^<>\n]{{1,20}}</{named}>)"
        r"|\\boxed\{",
        re.I | re.M,
    )


def _words(key: str) -> str:
    return r"[ _\\-]{1,2}".join(re.escape(word) for word in re.split(r"[ _-]+", key) if word)
