"""Boxes written without JSON: between markers, as two bare points, or a sentence that nothing is there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading.box_values import RawBox, boxes_in_text, says_absent
from gotr1_eval.core.reading.reply import UnreadableReply

_MARKER = re.compile(
    r"(?P<name><(?:ref|\|ref\||\|object_ref_start\||\|obj_start\|)>)"
    r"|(?P<named></ref>|<\|/ref\|>|<\|object_ref_end\|>|<\|obj_end\|>)"
    r"|(?P<box><(?:b?box|\|det\||\|box_start\||\|box\|)>)"
    r"|(?P<boxed></b?box>|<\|/det\|>|<\|box_end\|>|<\|/box\|>)"
)
_COORDINATE = r"\s{0,3}-?[0-9]{1,9}(?:\.[0-9]{1,9})?\s{0,3}"
_POINT = rf"\({_COORDINATE},{_COORDINATE}\)"
_POINTS = re.compile(rf"{_POINT}\s{{0,3}},?\s{{0,3}}{_POINT}|\({_COORDINATE}(?:,{_COORDINATE}){{3}}\)")
_NOTHING = r"(?:\w[\w'’-]*\s+){1,5}?"
_PLACE = r"(?:in|within|from)\s+(?:the|this)\s+(?:given\s+|provided\s+)?(?:image|picture|photo|scene)"
_NOT_THERE = re.compile(
    rf"(?:there\s+(?:is|are|was|were)\s+no|no)\s+{_NOTHING}(?:(?:is|are|was|were)\s+)?"
    rf"(?:(?:visible|present|found|detected|shown)(?:\s+{_PLACE})?|{_PLACE})"
    rf"|(?:the\s+|an?\s+)?{_NOTHING}(?:is|are|was|were)\s+not\s+(?:(?:visible|present|found|detected"
    rf"|shown)(?:\s+{_PLACE})?|{_PLACE})"
    rf"|(?:the\s+)?(?:image|picture|photo|scene)\s+(?:does\s+not|doesn['’]t)\s+(?:contain|show|have)\s+"
    r"(?:an?\s+|any\s+)?\w[\w'’-]*(?:\s+\w[\w'’-]*){0,5}",
    re.I,
)
_OTHER_NEGATION = re.compile(
    r"\b(?:way|doubt|images?\s+(?:is|are|was|were)|answer|information|idea|clear\w*|certain\w*|sure|but)\b", re.I
)


_DENIAL = re.compile(
    r"\bthere(?:\s+is|\s+are|['’]s)\s+no\b(?!\s+(?:other|more|further|additional))"
    r"|\b(?:is|are)\s+not\s+(?:visible|present|in\s+the)\b|\bnot\s+found\b|\bdoes\s+not\s+(?:contain|show)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Form:
    """A declaration of boxes at [start, end) of the answer, or the reason why it cannot be read."""

    start: int
    end: int
    boxes: list[RawBox]
    fault: UnreadableReply | None = None


def marked_boxes(answer: str) -> Form | None:
    """All boxes between markers, as one declaration; each takes the last name before it.

    Read are ``<|object_ref_start|>dog<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>``,
    ``<ref>dog</ref><box>...</box>`` and ``<|ref|>dog<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>``.
    """
    marks = list(_MARKER.finditer(answer))
    first = next((mark for mark in marks if mark["box"]), None)
    if first is None:
        return None
    try:
        boxes = _between(answer, marks)
    except UnreadableReply as fault:
        return Form(marks[0].start(), len(answer), [], fault)
    return Form(marks[0].start(), marks[-1].end(), boxes)


def _between(answer: str, marks: list[re.Match[str]]) -> list[RawBox]:
    label: str | None = None
    boxes: list[RawBox] = []
    for place, mark in enumerate(marks):
        following = marks[place + 1] if place + 1 < len(marks) else None
        inner = answer[mark.end() : following.start() if following else len(answer)]
        if mark["name"]:
            label = " ".join(inner.split()) if following else None
        elif mark["box"]:
            if following is None:
                raise UnreadableReply("The box was cut off.", why=Why.TRUNCATED)
            if not following["boxed"]:
                raise UnreadableReply("A box was not closed.")
            boxes += boxes_in_text(inner, label)
    return boxes


def bare_points(answer: str) -> list[Form]:
    """Every ``(x1,y1),(x2,y2)`` or ``(x1,y1,x2,y2)``: what a marked box leaves where markers were not decoded."""
    matches = list(_POINTS.finditer(answer))
    pairs = sum(match.group().count("(") == 2 for match in matches)
    fault = None
    if len(re.findall(_POINT, answer)) != 2 * pairs:
        fault = UnreadableReply("A box has two corners; some points stand alone.")
    return [Form(match.start(), match.end(), boxes_in_text(match.group(), None), fault) for match in matches]


def denies(prose: str) -> bool:
    """Whether the words around a box say that what was asked for is not there, so that the box is of something else."""
    return _DENIAL.search(prose) is not None


def is_not_there(answer: str) -> bool:
    """Whether the whole answer says that the thing is not in the picture: a word or two, or one plain sentence."""
    words = re.sub(r"```\w*|[*_`]", " ", answer[:400]).strip(" \n\t.!\"'")
    if len(answer) > 300:
        return False
    return says_absent(words) or (_NOT_THERE.fullmatch(words) is not None and not _OTHER_NEGATION.search(words))
