"""What counts as a number on the scale that was asked for."""

from __future__ import annotations

import re

from gotr1_eval.core.reading.literals import Items, Leaf, Value
from gotr1_eval.core.reading.reply import UnreadableReply

NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?"
NUMBER_WORD = r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|twenty|hundred)"
_OUT_OF = (
    r"\s{0,3}\(?(?:/|(?:out\s+)?of|von|sobre|sur?|de|из)\s{0,3}[*_`]{0,3}"
    rf"(?P<scale>[0-9]+(?:\.[0-9]+)?|{NUMBER_WORD}\b)"
)
SCALED = rf"(?P<number>{NUMBER})[*_`]{{0,3}}(?:{_OUT_OF})?"
"""A number, and the top of its scale where it is written: ``8``, ``8/10``, ``8 out of 10``."""

_VALUE_OF_WORD = dict(zip(NUMBER_WORD[3:-1].split("|"), (*range(11), 20, 100), strict=True))
_VALUE_OF_SIGN = {"五": 5, "十": 10, "百": 100, "一百": 100}
_NUMBER = re.compile(NUMBER)
_WRITTEN = re.compile(
    rf"{SCALED}\)?\.?(?:\s*(?:points?|分))?(?P<tail>\s+[-–—]\s+[^0-9]*|\s*[,:;(][^0-9]*|\.\s+[^0-9]*)?", re.I
)
CONDITION = re.compile(r"\b(?:if|or|unless|maybe|perhaps|possibly|but|could|would|might)\b", re.I)
"""Words in a remark that make a number conditional."""
_BESIDE = re.compile(
    r"\b(?:was|from|instead|rather|with|without|earlier|before|of|scale|max|points?|scores?|ratings?|to|vs|than"
    r"|lower|higher"
    r"|at (?:best|most|least))\b|[/%–~]|[0-9]\s*-|\A\W*[0-9]",
    re.I,
)
_NO_THING = (
    r"points?|pts|out|of|for|if|or|and|but|because|since|as|due|given|instead|now|is|was|would|will|in|on|at|by|from|to"
    r"|then|not|rather|overall|here|after|i|it|this|that|the|a|分|点|점"
)
COUNTS = (
    rf"[ \t-]?(?:(?:/|(?:out )?of )(?:the )?(?:[0-9]{{1,6}}|{NUMBER_WORD})[ \t])?"
    rf"(?!(?:{_NO_THING})(?![^\W\d_]))[^\W\d_]"
)
"""Behind a number that counts things: "3 dogs", "3 of 4 dogs", "the 3rd"."""
_EXPLAINED = re.compile(
    rf"\b[0-9]{{1,6}}[ \t]?(?:/|(?:out )?of )[ \t]?(?:the )?[0-9]{{1,6}}[ \t](?!(?:{_NO_THING})\b)(?=[^\W\d_])"
    r"|[0-9]{1,6}\s?[点점]?\s?(?:満点|만점)|[0-9]{1,3}段階|满分\s?(?:为|是|:)?\s?[0-9]{1,6}\s?分?|扣\w?[0-9.]{1,6}\s?分"
)
"""Numbers that stand for themselves: a share of things, the full marks, marks taken off."""
_LONE = re.compile(rf"(?<![0-9.])[0-9]{{1,6}}(?:\.[0-9]{{1,6}})?(?![0-9.]*[0-9])(?!{COUNTS})")
_DEDUCTS = re.compile(rf"\b(?:minus|deduct|subtract|less)\s+(?:\w+ ){{0,2}}?(?:[0-9]|{NUMBER_WORD}\b)", re.I)
_PLACEHOLDER = re.compile(
    r"(?:<.*>|\[.*\]|\{.*\}|[a-z]|[xy][0-9]?|_+|\?+|#+|\.{2,3}|…"
    r"|(?:(?:your|the|final)[ _])*(?:score|rating|number|value)"
    r"|int(?:eger)?|float|num|x_?min|y_?min|x_?max|y_?max|left|top|right|bottom)?",
    re.I | re.S,
)


def number_of(word: str) -> float:
    """The number that digits or a word stand for."""
    known = _VALUE_OF_WORD.get(word.lower(), _VALUE_OF_SIGN.get(word))
    return float(word) if known is None else float(known)


def is_placeholder(value: Value) -> bool:
    """Whether the value only stands for one, as in the question's own example: ``n``, ``<score>``, ``x1``, ``...``."""
    return isinstance(value, Leaf) and _PLACEHOLDER.fullmatch(value.text.strip()) is not None


def plain_number(value: Value) -> float | None:
    """The number that stands there unquoted and alone; None for anything else (also `true`, `NaN`)."""
    if isinstance(value, Leaf) and not value.quoted and _NUMBER.fullmatch(value.text):
        return float(value.text)
    return None


def read_number(value: Value, *, low: float, high: float) -> float:
    """The number that a value declares on the scale [low, high].

    A list of one, a string and a stated scale are read (``[8]``, ``"8"``, ``"8/10"``); words may follow a string's
    number if they hold no digits (``"8 - strong"``).

    Raises:
        UnreadableReply: it declares none, one outside the scale, or one on another scale.
    """
    if isinstance(value, Items) and len(value.values) == 1:
        value = value.values[0]
    if not isinstance(value, Leaf):
        raise UnreadableReply(f"A single number from {low:g} to {high:g} was asked for, not a list or object.")
    written = _WRITTEN.fullmatch(value.text.strip())
    if written is None or not is_remark(written["tail"] or ""):
        raise UnreadableReply(f"{value.text[:60]!r} is no number from {low:g} to {high:g}.")
    return checked(written["number"], written["scale"], low=low, high=high)


def is_remark(words: str) -> bool:
    """Whether words behind a number only comment on it: no condition, no deduction, no other number beside it."""
    if CONDITION.search(words) or _DEDUCTS.search(words):
        return False
    others = _EXPLAINED.sub(" ", words)
    return not re.search("[0-9]", others) or not (_LONE.search(others) or _BESIDE.search(others))


def checked(number: str, scale: str | None, *, low: float, high: float) -> float:
    """The number, when it lies in [low, high] and its stated scale ends at `high`.

    Raises:
        UnreadableReply: it does not.
    """
    if scale is not None and number_of(scale) != high:
        raise UnreadableReply(f"The scale asked for ends at {high:g}, the answer's at {scale[:20]}.")
    value = float(number)
    if not low <= value <= high:
        raise UnreadableReply(f"{number[:20]} lies outside the scale from {low:g} to {high:g}.")
    return value + 0.0  # -0.0 becomes 0.0
