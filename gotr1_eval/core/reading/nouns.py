"""The name that the words beside a box give it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gotr1_eval.core.names import ADJECTIVES, name_words, word_set

_CLAUSE_END = re.compile(r"[.,;:!?()\n]")
_DETERMINERS = r"(?:an?|the|one|two|three|four|five|six|seven|eight|another|some|its|his|her|their)"
_DETERMINER = re.compile(rf"\b{_DETERMINERS}\b", re.I)
_LEADING_WORD = re.compile(r"^(?:and|or|with|of|on|in|at|by|is|are|next to|near|to|from|behind|beside)(?:\s+|$)", re.I)
_LEADING_SIGN = re.compile(r"^(?:和|与|以及|还有)(?=[一两三四五六七八九十])")
_LINK_MARKS = " \t\r\n:=|>*_\"'`“”[({~–—-"
_LINK_WORDS = word_set(
    "is are was were be being sits stands lies sitting standing lying located placed positioned situated at in from "
    "of with within inside around has have which that who whose where also appears appearing found seen shown drawn "
    "occupies occupying spans spanning covers covering fills filling extends extending ranges ranging runs goes "
    "stretches takes up approximately approx roughly about exactly now"
)
"""Between a name and its box: "cat: [...]", "**cat** = (...)", "a cat, which is at (...)", "the cat occupies [...]"."""
_BOX_WORDS = re.compile(
    r"(?<![\w-])(?:(?:(?:with|in|at|by|has|have)\s+)?(?:(?:an?|the|its|their|my)\s+)?"
    r"(?:bounding[\s_-]?box(?:es)?|b-?box(?:_?2d)?|coordinates?|coords?|positions?|locations?|placement)"
    r"(?:\s*\(?(?:coordinates?|coords?|positions?|locations?|bbox|xyxy|x1\s*,\s*y1\s*,\s*x2\s*,\s*y2)\)?)*)"
    r"[\s:=*_\"'`]*\Z",
    re.I,
)
"""The words for a box, which never are its name."""
_TEMPLATE = re.compile(r"[(\[]\s*(?:x|y|left|top)\w{0,5}\s*,[\w\s,]{1,40}[)\]]\s*\Z", re.I)
"""The names of the numbers before them: "cat [x1, y1, x2, y2] = [...]"."""
_ONLY_BOX = re.compile(r"(?:\A|[\n,;(|–—-])[\s*_#>•\"'`-]*(?:box|region|area)[\s:=*_\"'`]*\Z", re.I)
"""A line that only says that a box follows; where a heading stands above it, that has the name."""
_WHERE = (
    r"(?:left|right|top|bottom|upper|lower|cent(?:er|re)|middle|side|corner|half|third|quadrant|edge|foreground"
    r"|background|distance|front|back|rear|area|region|part|portion)"
)
_PLACE = re.compile(
    rf"(?<![\w-])(?:(?:on|in|at|to|near|towards?|along|from|within|inside|by)\s+(?:the\s+|its\s+|their\s+)?"
    rf"(?:(?:far|very|upper|lower|top|bottom|middle|central|cent(?:er|re)|left|right|front|extreme|hand)[\s-]+){{0,4}}"
    rf"{_WHERE}(?:[\s-]+(?:side|corner|half|third|edge|part|area|portion|quadrant))?"
    r"|(?:in|of|on|within|from)\s+(?:the|this)\s+(?:image|picture|photo|scene|canvas))\s*\Z",
    re.I,
)
"""Where in the picture a thing stands, at the end of the words before its box."""
_FINITE = re.compile(
    r"\b(?:is|are|was|were|sits|stands|lies|has|have|appears|occupies|spans|covers|fills|extends|ranges|runs|goes"
    r"|stretches|takes)\b",
    re.I,
)
_AT = re.compile(r"\b(?:at|from)\b", re.I)
_RELATIVE = re.compile(r"\b(?:which|that|who|whose)\b", re.I)
_SUBJECT = re.compile(
    rf"(?:\A|[.,;:!?()\n])[ \t]*+(?:(?:and|but|while|then)\s+)?(?P<noun>{_DETERMINERS}\s+(?:[\w'’-]+\s+){{1,4}}?)"
    r"(?P<verb>(?:is|are|was|were|sits|stands|lies)\s+)?(?:besides?|next\s+to|near|behind|under(?:neath)?|beneath|below"
    rf"|above|over|by|with|on|inside|holding|of|(?:to\s+the\s+)?(?:left|right)\s+of|in(?:\s+front\s+of)?)\s+{_DETERMINERS}\s[^.,;:!?()\n]*\Z",
    re.I,
)
"""The subject of "the cat beside the dog is at [...]", where the noun next to the box is another one."""
_OF_BOX = re.compile(
    r"\A\s*(?:(?:the|an?)\s+)?(?:bounding[\s_-]?box(?:es)?|b?box|coordinates|position|location)\s+(?:of|for)\s+", re.I
)
_REMARK = re.compile(r"(?<=\w)[*_]*\s*\(([^()\n]{1,60})\)[*_]*\Z")
"""What stands in brackets between a name and its box."""
_TAIL = 160
_MOST_CHARACTERS = 400
_MOST_LINKS = 16
_KEY = re.compile(r"[\s*_#>•\"'`-]*(?:[\w-]+[ \t]?){1,3}[*_\"'`]*\s*[:=]\s*[*_]*\s*\S")
_NAME_KEY = re.compile(
    r"[\s*_#>•\"'`-]*(?:[0-9]{1,3}[.)]\s*)?(?:objects?|items?|elements?|subjects?|entity|name|label|class|category)"
    r"(?:\s+name)?\s*#?[0-9]{0,3}[*_\"'`]*\s*[:=][*_]*\s*(?=\S)",
    re.I,
)
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*|__|[0-9]{1,3}[.)]\s|[-*•]\s+\*\*)")
_MOST_LINES = 8
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
    "i my your be as follows final found see located detected identified have can we"
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
    place = _PLACE.search(text[-_TAIL:].rstrip(_LINK_MARKS))
    return _LEAD.fullmatch(text[: -_TAIL or None] + text[-_TAIL:][: place.start()] if place else text) is not None


def noun_before(text: str) -> str:
    """The noun phrase that ends a piece of prose: after its last clause mark and its last determiner.

    Words that only lead to a box ("which is at", "in the bounding box"), and places in the picture ("on the left"),
    are no part of it; where nothing else stands on the line, the heading above it is meant. Empty where there is none.
    """
    core = _without_link(text)
    lines = core.rstrip().split("\n")
    while len(lines) > 1 and not lines[-1].strip(_LINK_MARKS):
        lines.pop()
    if core.rstrip() != text.rstrip(_LINK_MARKS) and "\n" in text[len(core) :].rstrip(_LINK_MARKS):
        # The words on the box's own line were links alone: a list of properties under a heading.
        return _noun_above(lines)
    links = text[len(core) :]
    subject = None if _RELATIVE.search(links) else _SUBJECT.search(core[-_MOST_CHARACTERS:])
    if subject and (_FINITE.search(links) or (subject["verb"] and _AT.search(links))):
        return _noun_in(subject["noun"]) or _noun_in(core)
    return _noun_in(core)


def _noun_above(lines: Sequence[str]) -> str:
    """The name that the lines above a box give: a heading, or what stands under a key such as "Name"."""
    only_heading = False
    for line in list(reversed(lines))[:_MOST_LINES]:
        if not line.strip(_LINK_MARKS):
            continue
        if named := _NAME_KEY.match(line):
            return _noun_in(line[named.end() :])
        if _HEADING.match(line):
            return _noun_in(line.rstrip(_LINK_MARKS))
        if _KEY.match(line):
            only_heading = True
        elif only_heading:
            break
        else:
            return _noun_in(_without_link(line))
    return ""


def _noun_in(text: str) -> str:
    """The noun phrase at the end of words without their links."""
    clause = _OF_BOX.sub("", _without_cells(_CLAUSE_END.split(text)[-1]))
    determiners = list(_DETERMINER.finditer(clause))
    phrase = clause[_start_of_phrase(clause, [match.span() for match in determiners]) :] if determiners else clause
    phrase = phrase.strip()
    while lead := _LEADING_WORD.match(phrase):
        phrase = phrase[lead.end() :]
    phrase = _LEADING_SIGN.sub("", phrase)
    words = [word.strip(_MARKUP) for word in phrase.split() if re.search(r"\w", word)]
    # Without a determiner the whole clause came along; a name of more than a few words is a sentence.
    name = " ".join(words if determiners else words[-4:])
    # "cat [...], box [...]" lists a box; a table's column of that name does not.
    determined = bool(determiners) or "|" not in text
    return "" if names_nothing(name, determined=determined) else name


def _without_cells(row: str) -> str:
    """A table's row without the cells that hold a number, a place or a colour."""
    if "|" not in row:
        return row
    cells = [cell.strip() for cell in row.split("|")]
    named = [cell for cell in cells if not names_nothing(cell, determined=False) and cell.lower() not in ADJECTIVES]
    return " ".join(named or cells)


def names_nothing(name: str, *, determined: bool) -> bool:
    """Whether the words are a heading or a place; "box" or "table" alone is an object, "Box 1" or "Objects" is none."""
    every = re.findall(r"\w+", name.lower())
    words = [word for word in every if not _NUMBER_WORD.fullmatch(word)]
    if determined and every in (["box"], ["table"]):
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
    for _ in range(_MOST_LINKS):
        shorter = _shorter(text)
        if shorter == text:
            break
        text = shorter
    return text


def _shorter(text: str) -> str:
    """The text without one link, place or remark at its end."""
    tail = text[-_TAIL:]
    cut = len(text) - len(tail)
    if link := _BOX_WORDS.search(tail) or (_ONLY_BOX.search(tail) if "\n" in text or "," in text else None):
        owner = text[: cut + link.start()].rstrip(_LINK_MARKS + ",")
        if _ONLY_BOX.search(link.group()) and not re.search(r"\w", owner[-_TAIL:]):
            return text
        return owner[:-2] if owner.endswith(("'s", "’s")) else owner
    if place := _PLACE.search(tail) or _TEMPLATE.search(tail):
        return text[: cut + place.start()].rstrip(_LINK_MARKS + ",")
    if (remark := _REMARK.search(tail)) and _only_describes(remark[1]):
        return text[: cut + remark.start()].rstrip(_LINK_MARKS)
    start = max(text.rfind(blank) for blank in " \n\t") + 1
    if text[start:].lower() in _LINK_WORDS and text[:start].strip():
        return text[:start].rstrip(_LINK_MARKS + ",")
    return text


def _only_describes(words: str) -> bool:
    return all(word in ADJECTIVES or word in _SIDES for word in re.findall(r"\w+", _PLACE.sub("", words.lower())))


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
    if not words or len(words) > _MOST_WORDS or _OPENS_NO_NOUN.match(noun) or names_nothing(noun, determined=False):
        return NounBehind()
    end = link.end() + len(phrase.rstrip())
    return NounBehind(noun, end, link["mark"] is not None or link["verb"] is not None, alone or is_lead(line[end:]))
