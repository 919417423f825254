"""The name that the words beside a box give it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gotr1_eval.core.names import name_words, word_set

_CLAUSE_END = re.compile(r"[.,;:!?()\n]")
_DETERMINERS = r"(?:an?|the|one|two|three|four|five|six|seven|eight|another|some|its|his|her|their)"
_DETERMINER = re.compile(rf"\b{_DETERMINERS}\b", re.I)
_LEADING_WORD = re.compile(r"^(?:and|or|with|of|on|in|at|by|is|are|next to|near|to|from|behind|beside)(?:\s+|$)", re.I)
_LEADING_SIGN = re.compile(r"^(?:和|与|以及|还有)(?=[一两三四五六七八九十])")
_LINK_MARKS = " \t\r\n:=|>*_\"'`“”[({~–—-"
_LINK_WORDS = word_set(
    "is are was sits stands lies located placed positioned at in from bbox bounding coordinates position"
)
"""Between a name and its box: "cat: [...]", "**cat** = (...)", "a cat is at (...)"."""
_MOST_LINK_WORDS = 6
_WORN = word_set(
    "jacket coat shirt tshirt sweater hoodie dress skirt suit tuxedo uniform jean trouser pant short hat cap helmet "
    "scarf glove boot shoe vest blouse robe gown costume apron kimono swimsuit bikini raincoat cloak overall outfit "
    "clothe clothing glass sunglass sari kilt armor armour"
)
"""Garments: behind "in" or "wearing" they tell who is meant, "a person in a blue jacket"."""
_WEARS = re.compile(r"\b(?:in|wearing|dressed in)\s*\Z", re.I)
_MARKUP = "*_`\"'“”|#"
_PLAN_WORDS = word_set(
    "plan layout object objects element elements item items box boxes bounding bbox bboxes coordinate coordinates "
    "position positions location locations list table name names label labels following result results answer output "
    "here this these it they which that who whom where json sure ok okay instance instances detection detections "
    "i my your be as follows final"
)
"""Words that head a list of boxes or lead to one, and name nothing."""
_SIDES = word_set("left right top bottom upper lower center centre middle side corner half leftmost rightmost")
_NUMBER_WORD = re.compile(r"[0-9]+(?:st|nd|rd|th)?|[a-z]?[0-9]+")

_LEAD = re.compile(
    r"(?:[\s|*_#>\"'“”`(\[{•·.,;&:–—-]|[0-9]{1,3}(?=[.):\s]|\Z)|\)"
    r"|\b(?:and|then|also|at|in|on|within|inside|the|an?|object|item|box|bbox|region|bounding|with)\b)*+",
    re.I,
)
_LINK_BEHIND = re.compile(
    r"(?P<blank>[\s*_\"'“”`]*+)(?P<mark>[:=|>→–—-][\s:=|>*_\"'“”`–—-]*+)?"
    r"(?P<verb>(?:is|are|there\s+(?:is|are|sits|stands)|shows?|contains?|holds?|has|marks?|frames?|bounds?|represents?"
    r"|for|sits|stands|lies|here\s+is)\b[\s:]*+)?",
    re.I,
)
_OPENS_NO_NOUN = re.compile(
    r"(?:on|in|at|to|near|by|with|of|from|under|above|below|over|behind|beside|next|between|around|along|across|into"
    r"|which|that|who|whose|where|it|they|this|these|is|are|was|were|be|has|have|and|or|but|as|while|because|since|so"
    r"|for|if|not|no|there|here|sit\w*|stand\w*|lying|lies|located|positioned|placed|facing|looking)\b",
    re.I,
)
_NOUN_END = re.compile(r"[.,;:!?()|]|\s[–—-]+\s|\band(?:\s+(?:at|in|on|within|then))?\s*\Z", re.I)
_MOST_WORDS = 8


def begins_noun(text: str) -> bool:
    """Whether a noun phrase is begun in a piece of prose."""
    return _DETERMINER.search(text) is not None


def is_lead(text: str) -> bool:
    """Whether words before a box only lead to it: numbering, list marks, "and at"."""
    return _LEAD.fullmatch(text) is not None


def noun_before(text: str) -> str:
    """The noun phrase that ends a piece of prose: after its last clause mark and its last determiner.

    Empty where the words before a box only lead to it or head a list ("Bounding box:", "Objects:").
    """
    clause = _CLAUSE_END.split(_without_link(text))[-1]
    determiners = list(_DETERMINER.finditer(clause))
    phrase = clause[_start_of_phrase(clause, [match.span() for match in determiners]) :] if determiners else clause
    phrase = phrase.strip()
    while lead := _LEADING_WORD.match(phrase):
        phrase = phrase[lead.end() :]
    phrase = _LEADING_SIGN.sub("", phrase)
    words = [word.strip(_MARKUP) for word in phrase.split() if re.search(r"\w", word)]
    # Without a determiner the whole clause came along; a name of more than a few words is a sentence.
    name = " ".join(words if determiners else words[-4:])
    return "" if _names_nothing(name, determined=bool(determiners)) else name


def _names_nothing(name: str, *, determined: bool) -> bool:
    """Whether the words are a heading or a place; "a box" and "the table" are objects."""
    words = [word for word in re.findall(r"\w+", name.lower()) if not _NUMBER_WORD.fullmatch(word)]
    if determined and len(words) == 1 and words[0] in ("box", "table", "plan", "corner"):
        return False
    return not words or all(word in _PLAN_WORDS or word in _SIDES for word in words)


def _start_of_phrase(clause: str, determiners: Sequence[tuple[int, int]]) -> int:
    """Where the last noun phrase begins, or the one before it that wears it: "a person in a blue jacket"."""
    place = len(determiners) - 1
    while place > 0:
        worn = name_words(clause[determiners[place][1] :])
        if not (worn and worn[-1] in _WORN and _WEARS.search(clause[: determiners[place][0]])):
            break
        place -= 1
    return determiners[place][1]


def _without_link(text: str) -> str:
    """The text without the marks and words at its end that only lead to a box."""
    text = text.rstrip(_LINK_MARKS)
    for _ in range(_MOST_LINK_WORDS):
        before, _, word = text.rpartition(" ")
        if word.lower() not in _LINK_WORDS or not before.strip():
            break
        text = before.rstrip(_LINK_MARKS + ",")
    return text


@dataclass(frozen=True, slots=True)
class NounBehind:
    """A noun right behind a box.

    Attributes:
        noun: its words; empty where there is none.
        end: where it ends in the line.
        linked: a mark or a verb leads to it ("[...]: cat", "[...] is a cat").
        ends: what follows it on the line does not name anything else.
    """

    noun: str = ""
    end: int = 0
    linked: bool = False
    ends: bool = False


def noun_behind(line: str, *, alone: bool) -> NounBehind:
    """The noun that follows a box on its line.

    Args:
        line: what follows the box, up to the line's end or the next box.
        alone: no other box follows on the line, so that a remark may follow the noun.
    """
    link = _LINK_BEHIND.match(line)
    assert link is not None
    rest = line[link.end() :]
    # A link must be a mark, a verb, or a blank; ", a cat" and ". A cat" begin something new.
    if not rest or not (link["mark"] or link["verb"] or link["blank"]):
        return NounBehind()
    stop = _NOUN_END.search(rest)
    phrase = rest[: stop.start() if stop else len(rest)]
    noun = re.sub(rf"\A(?:{_DETERMINERS}\s+)+", "", phrase.strip(f" \t\r{_MARKUP}"), flags=re.I).strip()
    words = noun.split()
    if not words or len(words) > _MOST_WORDS or _OPENS_NO_NOUN.match(noun) or _names_nothing(noun, determined=False):
        return NounBehind()
    end = link.end() + len(phrase.rstrip())
    return NounBehind(noun, end, link["mark"] is not None or link["verb"] is not None, alone or is_lead(line[end:]))
