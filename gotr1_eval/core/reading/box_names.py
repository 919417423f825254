"""Which object a box is of, by the words around it: what is no certain label may still be another object's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gotr1_eval.core.names import ADJECTIVES, Match, match_names, says_nothing, word_set
from gotr1_eval.core.reading.box_values import RawBox
from gotr1_eval.core.reading.nouns import names_nothing, noun_before, noun_behind
from gotr1_eval.core.reading.reply import UnreadableReply

_NOTHING = word_set(
    "object objects item items target thing region area instance entity element subject detection rectangle frame "
    "output analysis solution response prediction reasoning explanation format code grounding pixels thousandths "
    "grid scale range percent correction better wait actually update yes no true false high medium low image "
    "picture photo"
)
"""Words beside a box that name no object; a frame or a picture was hardly asked for."""
_NEUTRAL = word_set(
    "such requested target described specified mentioned queried given detected located main single said corresponding "
    "desired asked found bounding box bbox visible corrected revised updated new final from to "
    "normalized normalised"
)
_ADVERB = re.compile(r"\w+(?:ly|ed)|approx\w*|about|est|px|in|of|for")
_HERE = re.compile(r"\A(?:here(?:['’]s|\s+is|\s+are)|i\s+(?:see|found|find|detect(?:ed)?)|there\s+(?:is|are))\s+", re.I)
_ORNAMENT = " \t\r\n`*_#>•-:0123456789.)(\0\"'"
_FENCE = re.compile(r"(?:\A|\n)[ \t]*```[ \t]*\w*\Z")
_MOST_HEADING_WORDS = 3
_MOST_CHARACTERS = 300
_BRACKETS = re.compile(r"[\s*_`]{0,4}\(([^\W\d_]+(?: [^\W\d_]+){0,2})\)")


def hints_around(prose: str, start: int, end: int, *, sentence: bool) -> tuple[str, ...]:
    """The name that the words beside a box seem to give it: on its line, or as a heading above; empty without one.

    Args:
        prose: the answer with its structures blanked out.
        start: where the box begins.
        end: where it ends.
        sentence: the box stands in a sentence, so that this may name it; before a JSON object only a heading does.
    """
    begin = max(prose.rfind("\n", 0, start), prose.rfind("\0", 0, start)) + 1
    line = prose[max(begin, start - _MOST_CHARACTERS) : start]
    noun = noun_before(line) if sentence else _heading(line)
    if not noun and prose[begin - 1 : begin] != "\0":
        noun = _heading(_line_above(prose, begin))
    if not noun:
        stop = prose.find("\n", end)
        noun = _noun_after(prose[end : min(stop if stop >= 0 else len(prose), end + _MOST_CHARACTERS)])
    return (noun,) if noun and not is_no_object(noun) else ()


def _line_above(prose: str, begin: int) -> str:
    """The line before a position that heads what follows: it ends in a colon, or is marked as a heading."""
    above = _FENCE.sub("", prose[max(0, begin - _MOST_CHARACTERS) : begin].rstrip()).rstrip()
    line = above[above.rfind("\n") + 1 :]
    return line if line.rstrip("*_ ").endswith(":") or re.match(r"\s*(?:#|\*\*)", line) else ""


def _heading(line: str) -> str:
    """The noun that is all a line says; empty for a sentence."""
    words = _HERE.sub("", line.strip(_ORNAMENT))
    return noun_before(words) if len(words.split()) <= _MOST_HEADING_WORDS else ""


def _noun_after(line: str) -> str:
    found = noun_behind(line, alone=True)
    if found.linked:
        return found.noun
    remark = _BRACKETS.match(line)
    if remark and not any(_ADVERB.fullmatch(word.lower()) for word in remark[1].split()):
        return remark[1]
    return ""


def is_no_object(name: str) -> bool:
    """Whether words beside a box name none: a place, a colour, "the requested object", "high"."""
    words = re.findall(r"\w+", name.lower())
    if says_nothing(name) or names_nothing(name, determined=False) or all(word in ADJECTIVES for word in words):
        return True
    known = [word for word in words if not re.fullmatch(r"[0-9x]+", word)]
    return all(word in _NEUTRAL or word in _NOTHING for word in known)


def named(boxes: Sequence[RawBox], names: Sequence[str]) -> list[RawBox]:
    """The boxes with a label each, where their own or the words around them give one.

    Args:
        boxes: as they were read.
        names: what was asked for; where it is one name, the words around a box are held against it.

    Raises:
        UnreadableReply: the words around a box name another object than the one that was asked for, and no box is
            under its name: they may as well be a synonym, or no name at all.
    """
    asked = names[0] if len(names) == 1 else None
    found = [replace(box, label=_label(box, asked)) for box in boxes]
    if asked is None or any(box.label is not None and is_asked(asked, box.label) for box in found):
        return found
    for box in found:
        if box.hints and box.label is not None and match_names(asked, box.label) is Match.OTHER:
            raise UnreadableReply(f"A box stands beside the words {box.label[:60]!r}; asked was for {asked[:60]!r}.")
    return found


def is_asked(asked: str, said: str) -> bool:
    """Whether a name is the one that was asked for, or has the same noun."""
    return match_names(asked, said) in (Match.SAME_WORDS, Match.SAME_OBJECT)


def _label(box: RawBox, asked: str | None) -> str | None:
    """A box's own label; else the hint that fits, the only one, or the first where a name was asked for."""
    hints = [hint for hint in box.hints if not is_no_object(hint)]
    if box.label is not None or not hints:
        return box.label
    if asked is None:
        return hints[0] if len(hints) == 1 else None
    for match in (Match.SAME_WORDS, Match.SAME_OBJECT, Match.UNSURE):
        for hint in hints:
            if match_names(asked, hint) is match:
                return hint
    return hints[0]
