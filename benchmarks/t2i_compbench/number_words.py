"""`corrected`: the numbers that a prompt states, of any size, which of them count nothing, and which are left open."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.semantics import UndefinedScoreError
from gotr1_eval.core.cardinals import TENS, UNITS

ARTICLES = ("a", "an")
_VALUES = {**dict.fromkeys(ARTICLES, 1), **{word: value for word, value in UNITS.items() if value}, **TENS}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_OF_GROUPS = {"couple": 2, "pair": 2, "pairs": 2, "duo": 2, "trio": 3, "quartet": 4}
"""Numbers only before "of": "a couple walking a dog" is none."""
_GROUPS = {"dozen": 12, **_LARGE, **_OF_GROUPS}
_PAIRED = frozenset(("scissors", "glasses", "sunglasses", "pants", "trousers", "jeans", "shorts", "headphones"))
"""One thing that is called a pair."""
_MOST_DIGITS = 4
VAGUE = frozenset(("few", "several", "number", "dozens", "hundreds", "thousands", "handful"))
"""Words that leave open how many of the following object there are; the nouns among them before "of"."""
_VAGUE_BEFORE_OF = VAGUE - {"few", "several"}

_PLAIN = rf"(?:[0-9]+|{'|'.join(sorted(_VALUES.keys() - set(ARTICLES), key=len, reverse=True))})"
_ANY = rf"(?:{_PLAIN}|(?:an? |half an? |half )?(?:{'|'.join(_GROUPS)}))"
_OPEN = re.compile(
    r"\b(?:least|most|than|nearly|almost|approximately|roughly|not|without|maybe|perhaps|possibly|no|minus)"
    rf" (?:{_ANY}|an?)\b"
    rf"|\bup to {_ANY}\b"
    rf"|[~≈<>≥≤±] ?{_ANY}\b"
    rf"|(?:\A|[,;:] ?|\b(?:and|with|of|are|is|there|have|has|contains?|shows?|showing|just|well) )"
    rf"(?:about|around|over|under|above|below) {_ANY}\b"
    rf"|\bbetween {_ANY} ?(?:and|to|-|–) ?{_ANY}\b"
    rf"|\b{_ANY} ?\+|\b{_ANY} plus\b(?! {_ANY}\b)"
    r"|\bor (?:more|fewer|less|so)\b"
    rf"|\bor (?!one\b){_ANY}\b"
    rf"|\b{_ANY} and a (?:half|quarter|bit)\b"
    rf"|\bhalf (?:of )?(?:the )?{_PLAIN}\b"
)
_HYPHENS = re.compile(
    r"(?<=half) ?- ?(?=dozen)|(?<=ty) ?- ?(?=[a-z])|(?<=[a-z0-9]) ?- ?(?=(?:dozen|hundred|thousand)\b)"
)
_THOUSANDS = re.compile(r"(?<![0-9,.])([0-9]{1,3}(?:,[0-9]{3})+)(?![0-9,.])")
_IDLE = re.compile(
    r"\b[0-9]+(?:\.[0-9]+)+\b|# ?[0-9]+\b"
    rf"|\b(number|numeral|digit|size|aged?|no\.) ?{_PLAIN}\b"
    rf"|\b{_PLAIN} ?(?:%|(?:years?|months?|weeks?|days?|hours?|minutes?|inch(?:es)?|feet|foot|ft|met(?:er|re)s?|cm|mm"
    r"|km|miles?|kg|pounds?|percent|degrees?|am|pm|o'clock|dollars?|cents?)\b)"
)
"""Numbers that count nothing: "1.5", "number 7", "size two", "ten foot"."""
_COMPOUND = re.compile(rf"\b{_PLAIN} ?[-–] ?(?!{_PLAIN}\b)([a-z]+(?: ?[-–] ?[a-z]+)?)")
"""A compound adjective: "three-legged", "two-year-old", which the parse may have cut at its hyphens."""
_HYPHEN = re.compile(" ?[-–] ?")
_PARTS = re.compile(r"[^\W_]+|[-–]")


def number_tokens(words: Sequence[str]) -> list[str]:
    """The words of a prompt in lower case, without numbers that count nothing.

    Raises:
        UndefinedScoreError: the prompt leaves a number open ("up to five", "five or more", "about five").
    """
    text = _HYPHENS.sub(" ", " ".join(words).lower())
    if found := _OPEN.search(text):
        raise open_number(found.group().split())
    text = _THOUSANDS.sub(lambda number: number[1].replace(",", ""), text)
    text = _COMPOUND.sub(lambda adjective: _HYPHEN.sub(" ", adjective[1]), text)
    return _PARTS.findall(_IDLE.sub(lambda idle: idle[1] or "", text))


def open_number(words: Sequence[str]) -> UndefinedScoreError:
    """The error for words that leave a number open."""
    return UndefinedScoreError(f"the prompt leaves a number open: {' '.join(words)!r}")


def is_vague(words: Sequence[str], place: int) -> bool:
    """Whether a word leaves open how many of the following object there are: "few", "a number of"."""
    return words[place] in VAGUE and (words[place] not in _VAGUE_BEFORE_OF or words[place + 1 : place + 2] == ["of"])


def number_at(words: Sequence[str], place: int, below: int = 10**9) -> tuple[int, int] | None:
    """The number that begins at a word, and where it ends; None where none does.

    Args:
        below: hundreds, thousands and millions are taken that are less.
    """
    word = words[place]
    following = words[place + 1] if place + 1 < len(words) else ""
    if word == "half" and (after := place + 1 + (following in ARTICLES)) < len(words) and words[after] == "dozen":
        return 6, after + 1
    if word in ARTICLES and following and is_vague(words, place + 1):
        return None
    number, end = _below_hundred(words, place)
    if not number and _GROUPS.get(word, below) < below:
        number, end = 1, place
    if number and end < len(words) and _GROUPS.get(words[end], below) < below:
        return _in_groups(words, number, end)
    return (number, end) if number else None


def _in_groups(words: Sequence[str], number: int, place: int) -> tuple[int, int] | None:
    """So many of the group at a place, "two dozen", and where that ends; None where the group is no number there."""
    group = words[place]
    of = words[place + 1 : place + 2] == ["of"]
    if group in ("pair", "pairs") and not _PAIRED.isdisjoint(words[place + 1 + of : place + 2 + of]):
        return number, place + 1 + of
    if group in _OF_GROUPS and not of:
        return None
    if group in _LARGE:
        return _with_rest(words, number * _LARGE[group], place + 1, _LARGE[group])
    return number * _GROUPS[group], place + 1 + of


def _below_hundred(words: Sequence[str], place: int) -> tuple[int, int]:
    """A number in digits or of one or two words, and where it ends; 0 where there is none."""
    word = words[place]
    following = words[place + 1] if place + 1 < len(words) else ""
    if word in TENS and 0 < _VALUES.get(following, 0) < 10 and following not in ARTICLES:
        return TENS[word] + _VALUES[following], place + 2
    if word.isdecimal() and len(word) <= _MOST_DIGITS:
        return int(word), place + 1
    return _VALUES.get(word, 0), place + 1


def _with_rest(words: Sequence[str], number: int, end: int, group: int) -> tuple[int, int]:
    """A number of hundreds or thousands with what is added to it: "one hundred (and) five"."""
    start = end + (words[end : end + 1] == ["and"])
    if start >= len(words) or words[start] in ARTICLES:
        return number, end
    rest = number_at(words, start, group)
    return (number + rest[0], rest[1]) if rest is not None and rest[0] < group else (number, end)
