"""Counts in words or digits: which number an answer says, and whether it is one that leaves nothing open.

A count is compared by its value, so that "12", "twelve" and "Twelve cups." are one answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gotr1_eval.core.cardinals import TENS, UNITS

_VALUES = {**UNITS, **TENS, "none": 0, "dozen": 12, "hundred": 100, "thousand": 1000}
_WORDS = "|".join(sorted({*UNITS, *TENS, "none"}, key=len, reverse=True))
_BELOW_TEN = "|".join(word for word, value in UNITS.items() if 0 < value < 10)
_NUMBER = rf"(?:[0-9]{{1,9}}|(?:{'|'.join(TENS)})[ -](?:{_BELOW_TEN})|{_WORDS})(?: (?:dozen|hundred|thousand))?"
_WHOLE = re.compile(_NUMBER, re.I)
_ANYWHERE = re.compile(rf"(?<![\w-]){_NUMBER}(?![\w-])", re.I)
_FIRST = re.compile(rf"[\s*_`\"'“‘(\[>]*(?:[-–•] )?({_NUMBER})(?![\w-])[*_`\"'”’)\]]*", re.I)
_NO_COUNT = re.compile(
    r"\s*(?:[%/+°$€£×~^?]|[.,:][0-9]|[-–—] ?[0-9])"
    r"|\s+(?:to|plus|minus|times|percent|point|half|more|fewer|less|or|if|and a (?:half|bit|quarter)|of the above|each"
    r"|dozens?|hundreds?|thousands?|millions?|billions?)\b",
    re.I,
)
"""Directly behind a number that is then no count: "3%", "3.5", "two or more", "two million"."""
_NOT_ONE = re.compile(
    r"\s+(?:moment|second|sec|minute|thing|can|could|cannot|may|might|must|should|would|sees?|of (?!them\b|these\b"
    r"|those\b))",
    re.I,
)
"""Directly behind a "one" that counts nothing: "One moment", "One can see", "One of the cups is red"."""
_UNIT = re.compile(
    r"\s+(?P<unit>second|minute|hour|day|week|month|year|met(?:er|re)|inche?|dollar|euro|degree|pixel|point|feet|foot|cm"
    r"|mm|kg)s?\b",
    re.I,
)
"""A measure: no count of things, unless the question asks for it."""
_OPEN = re.compile(
    r"[^.!?\n]{0,300}?(?<!\bas )\b(?:or (?:more|less|fewer|so|a|even|maybe)|at (?:least|most)|approximately|roughly"
    r"|maybe|perhaps|possibly|counting|including|excluding|plus|if|unless|depend(?:s|ing)|not (?:sure|certain)|unsure"
    r"|hard to (?:say|tell))\b",
    re.I,
)
"""In the count's own sentence, what leaves it open: "three if you count the reflection", "two, at least"."""


def value_of(word: str) -> int | None:
    """The value of a word or digits that are a number and nothing else; "none" is 0."""
    word = word.strip().lower()
    if word.isdecimal() and len(word) <= 9:
        return int(word)
    return _value(word) if _WHOLE.fullmatch(word) else None


def _value(number: str) -> int:
    """The value of what `_NUMBER` found: a number below a hundred, times a dozen, a hundred or a thousand."""
    parts = re.split("[ -]", number.lower())
    group = _VALUES[parts.pop()] if parts[-1] in ("dozen", "hundred", "thousand") else 1
    return group * sum(int(part) if part.isdecimal() else _VALUES[part] for part in parts)


@dataclass(frozen=True, slots=True)
class Count:
    """Answers to a question that expects a number.

    Attributes:
        expected: the right answers, one of which is a number.
        question: its wording, which may ask for a measure ("How many minutes").
    """

    expected: frozenset[str]
    question: str

    def whole(self, said: str) -> float | None:
        """The verdict of words that are the whole answer; None where they are no number."""
        if said in self.expected:
            return 1.0
        return None if (value := value_of(said)) is None else self._verdict(value)

    def leading(self, text: str) -> tuple[float, int] | None:
        """The verdict of a text that begins with its count, and where that ends; None where it begins otherwise."""
        first = _FIRST.match(text)
        if first is None or self._is_open(text, first):
            return None
        return self._verdict(_value(first[1])), first.end()

    def contradicts(self, text: str, verdict: float) -> bool:
        """Whether the text holds several numbers."""
        return len({_value(number) for number in _ANYWHERE.findall(text)}) > 1

    def _is_open(self, text: str, first: re.Match[str]) -> bool:
        end = first.end()
        unit = _UNIT.match(text, end)
        return (
            _NO_COUNT.match(text, end) is not None
            or _OPEN.match(text, end) is not None
            or (unit is not None and unit["unit"].lower() not in self.question.lower())
            or (first[1].lower() == "one" and _NOT_ONE.match(text, end) is not None)
        )

    def _verdict(self, value: int) -> float:
        return float(value in {value_of(answer) for answer in self.expected})
