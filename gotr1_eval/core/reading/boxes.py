"""Boxes from the answers of language-vision models that were asked where something is: in JSON, between markers, as two
bare points, or a sentence that nothing is there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading.absence import denies, is_not_there
from gotr1_eval.core.reading.box_names import hints_around, named
from gotr1_eval.core.reading.box_values import BoxOrder, RawBox, boxes_in, boxes_in_text
from gotr1_eval.core.reading.context import (
    Standing,
    announces_correction,
    blanked,
    is_cut,
    is_supposed,
    refuse_revision,
    standing,
)
from gotr1_eval.core.reading.frames import Stated, stated
from gotr1_eval.core.reading.literals import State, Structure, find_structures
from gotr1_eval.core.reading.nouns import noun_before
from gotr1_eval.core.reading.reply import UnreadableReply, answer_part, nothing_found, refuse_refusal
from gotr1_eval.core.types import Box

_MARKER = re.compile(
    r"(?P<name><(?:ref|\|ref\||\|object_ref_start\||\|obj_start\|)>)"
    r"|(?P<named></ref>|<\|/ref\|>|<\|object_ref_end\|>|<\|obj_end\|>)"
    r"|(?P<box><(?:b?box|\|det\||\|box_start\||\|box\|)>)"
    r"|(?P<boxed></b?box>|<\|/det\|>|<\|box_end\|>|<\|/box\|>)"
)
_COORDINATE = r"\s{0,3}-?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s{0,3}"
_POINT = rf"\({_COORDINATE},{_COORDINATE}\)"
_POINTS = re.compile(rf"{_POINT}\s{{0,3}},?\s{{0,3}}{_POINT}|\({_COORDINATE}(?:,{_COORDINATE}){{3}}\)")
_SEPARATOR = re.compile(r"(?:[\s,;&•*-]|\band\b|\b[0-9]{1,2}[.)]\s)*+", re.I)
_WITHDRAWN = re.compile(
    r"\A[^\w\n]{0,12}(?:is|are|was|were)(?:n['’]t\b|\s+(?:\w+ly\s+)?(?:wrong|incorrect|inaccurate|mistaken|invalid|false|off"
    r"|not|a\s+mistake)\b)"
    r"|(?:\A|[.!?\n])[ \t*_\"'`]*+(?:no|nope|wrong|sorry|oops|hmm|ignore|disregard|forget)\b"
    r"(?!\s+(?:other|others|more|further|additional)\b)"
    r"|\b(?:that|this|it)(?:['’]s|\s+is|\s+was)\s+(?:not|wrong|incorrect|actually)\b",
    re.I,
)
"""Words behind a box that take it back."""
_MOST_WORDS = 300


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
    """The boxes between the markers, each with the name between markers before it, or the noun that stands there.

    Where every box has its marked name behind it, and the first none before it, that one is its own.

    Raises:
        UnreadableReply: a box cannot be read, or it is not clear whether names stand before or behind their boxes.
    """
    parts = _parts(answer, marks)
    kinds = [part.named for part in parts]
    if kinds.count(True) and not kinds[0]:
        if kinds != [False, True] * (len(kinds) // 2):
            raise UnreadableReply("It is not clear whether the names stand before their boxes or behind them.")
        return [box for part, name in zip(parts[::2], parts[1::2], strict=True) for box in part.boxes(name.text)]
    boxes: list[RawBox] = []
    label: str | None = None
    hints: tuple[str, ...] = ()
    end, after_name = 0, False
    for part in parts:
        words = answer[max(end, part.start - _MOST_WORDS) : part.start]
        if part.named:
            label, hints = part.text or None, ()
        else:
            if not after_name and not (boxes and _SEPARATOR.fullmatch(words)) and (noun := noun_before(words)):
                label, hints = None, (noun,)
            boxes += [replace(box, hints=hints) for box in part.boxes(label)]
        end, after_name = part.end, part.named
    return boxes


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands between a pair of markers: a name or boxes."""

    named: bool
    text: str
    start: int
    end: int

    def boxes(self, label: str | None) -> list[RawBox]:
        return boxes_in_text(self.text, label)


def _parts(answer: str, marks: list[re.Match[str]]) -> list[_Part]:
    parts = []
    for place, mark in enumerate(marks):
        following = marks[place + 1] if place + 1 < len(marks) else None
        inner = answer[mark.end() : following.start() if following else len(answer)]
        if mark["name"]:
            name = " ".join(inner.split()) if following else ""
            closed = following is not None and following["named"]
            parts.append(_Part(True, name, mark.start(), following.end() if following and closed else mark.end()))
        elif mark["box"]:
            if following is None:
                raise UnreadableReply("The box was cut off.", why=Why.TRUNCATED)
            if not following["boxed"]:
                raise UnreadableReply("A box was not closed.")
            parts.append(_Part(False, inner, mark.start(), following.end()))
    return parts


def bare_points(answer: str) -> list[Form]:
    """Every ``(x1,y1),(x2,y2)`` or ``(x1,y1,x2,y2)``: what a marked box leaves where markers were not decoded."""
    matches = list(_POINTS.finditer(answer))
    pairs = sum(match.group().count("(") == 2 for match in matches)
    fault = None
    if len(re.findall(_POINT, answer)) != 2 * pairs:
        fault = UnreadableReply("A box has two corners; some points stand alone.")
    return [Form(match.start(), match.end(), boxes_in_text(match.group(), None), fault) for match in matches]


def read_boxes(
    text: str,
    *,
    frame: tuple[float, float],
    order: BoxOrder = "xyxy",
    tolerance: float = 0.01,
    finish: str | None = None,
    asked: Sequence[str] = (),
) -> list[tuple[str | None, Box]]:
    """The boxes that an answer declares, with their names where they have any.

    Objects with a box under ``bbox_2d``, ``bbox``, ``box`` or ``bounding_box``, bare lists, named lists, boxes between
    markers and bare points are read. Declarations that follow each other directly are one answer; of those with prose
    between them the last wins if that prose announces it ("the final answer is"), else they might be several objects
    and nothing is read.

    Args:
        text: the answer, verbatim.
        frame: (width, height) of the coordinates the model answers in, (1000, 1000) for thousandths.
        order: what the four numbers are. The key ``box_2d`` is read under "yxyx" only, as the models that use it write.
        tolerance: how far, in parts of the frame's side, a coordinate may overshoot and is clipped.
        finish: why the model stopped, where known.
        asked: the names that were asked for, where they are known. A sentence that something is not there must be
            about them all; where it is one name, words around a box that name something else leave open what it is of.

    Returns:
        (name or None, box) in the order written. Empty when the answer says that there is nothing: an empty list, null,
        "not found", or one plain sentence such as "There is no dog in the image."

    Raises:
        UnreadableReply: a box has not four numbers, swapped corners, a coordinate outside the frame, or all coordinates
            between 0 and 1 in a larger frame; the list was cut off; or there is no declaration.
        ValueError: the frame has no area.
    """
    if not all(math.isfinite(side) and side > 0 for side in frame):
        raise ValueError(f"a frame needs a positive width and height, got {frame}")
    answer = answer_part(text, finish=finish)
    marked = marked_boxes(answer)
    rest = answer if marked is None else _without(answer, marked)
    structures = find_structures(rest, ended=finish == "stop")
    prose = blanked(rest, structures)
    forms = [form for one in structures if (form := _form(prose, one, y_first=order == "yxyx")) is not None]
    forms = _hinted(prose, answer, _meant(prose, forms + bare_points(prose))) + ([marked] if marked else [])
    if not forms:
        if finish != "length" and is_not_there(answer, asked):
            return []
        raise nothing_found(answer, "box", finish=finish, cut=is_cut(structures))
    said = stated(answer, [one.value for one in structures], loose=True)
    _refuse_other_frame(said, order, frame)
    if is_cut(structures) and max(form.end for form in forms) < structures[-1].end:
        raise UnreadableReply("The answer was cut off inside its last box.", why=Why.TRUNCATED)
    boxes = _last_group(prose, sorted(forms, key=lambda form: form.start))
    refuse_refusal(prose, max(form.start for form in forms))
    _refuse_withdrawal(prose, max(form.end for form in forms))
    if boxes and denies(prose):
        raise UnreadableReply("The answer says that something is not there, and gives a box.")
    return [(box.label, _to_box(box, frame, order, tolerance)) for box in named(boxes, asked)]


def _without(answer: str, form: Form) -> str:
    return answer[: form.start] + "\0" * (form.end - form.start) + answer[form.end :]


def _form(prose: str, structure: Structure, *, y_first: bool) -> Form | None:
    """What a structure declares; None when it is an example or says nothing about boxes."""
    start, end = structure.start, structure.end
    if end - start == 2 and prose[max(0, start - 1) : start].isalnum():
        return None
    try:
        found = boxes_in(structure.value, y_first=y_first)
    except UnreadableReply as fault:
        return Form(start, end, [], fault)
    if found is None:
        return None
    if structure.state is State.BROKEN:
        return Form(start, end, [], UnreadableReply("The brackets of the answer do not match."))
    return Form(start, end, found)


def _meant(prose: str, forms: Sequence[Form]) -> list[Form]:
    """The forms that are the answer by the words around them, and no example, quotation or supposition.

    Forms that follow each other directly share the words before the first.
    """
    kept: list[Form] = []
    end, declared = -1, False
    for form in sorted(forms, key=lambda form: form.start):
        if end < 0 or not _SEPARATOR.fullmatch(prose, end, form.start):
            declared = standing(prose, form.start, strict=False) is Standing.MEANT
        end = form.end
        if declared and not is_supposed(prose, form.end):
            kept.append(form)
    return kept


def _hinted(prose: str, answer: str, forms: Sequence[Form]) -> list[Form]:
    """The forms with the names that the words around them seem to give to boxes without a label.

    Forms that follow each other directly share the words around the first.
    """
    found: list[Form] = []
    hints: tuple[str, ...] = ()
    for form in forms:
        if not found or not _SEPARATOR.fullmatch(prose, found[-1].end, form.start):
            sentence = "{" not in answer[form.start : form.start + 3]
            hints = hints_around(prose, form.start, form.end, sentence=sentence)
        boxes = [box if box.label is not None or box.hints else replace(box, hints=hints) for box in form.boxes]
        found.append(replace(form, boxes=boxes))
    return found


def _refuse_other_frame(said: Stated, order: BoxOrder, frame: tuple[float, float]) -> None:
    """Refuse an answer that says of its own numbers that they stand in another order, or count in another frame.

    Raises:
        UnreadableReply: it does.
    """
    if said.orders - {order}:
        raise UnreadableReply(f"The order {order} was asked for, the answer names another.")
    for width, height in said.sizes - {frame}:
        raise UnreadableReply(f"The frame is {frame[0]:g} by {frame[1]:g}, the answer's {width:g} by {height:g}.")
    for top in said.tops:
        # Thousandths may be said to end at 999.
        if top not in (max(frame), max(frame) - 1):
            raise UnreadableReply(f"The frame is {frame[0]:g} by {frame[1]:g}, the answer's scale ends at {top:g}.")


def _refuse_withdrawal(prose: str, end: int) -> None:
    """Refuse boxes that the words behind them take back ("... is wrong.", "No, that is the cat.").

    Raises:
        UnreadableReply: they do.
    """
    refuse_revision(prose, end, {})
    if _WITHDRAWN.search(prose[end:]):
        raise UnreadableReply("The answer takes its boxes back.")


def _last_group(prose: str, forms: Sequence[Form]) -> list[RawBox]:
    """The boxes of the last declaration: the last form with those that directly precede it.

    Raises:
        UnreadableReply: one of them cannot be read, or it is not clear whether the last one is meant to replace others.
    """
    first = len(forms) - 1
    while first > 0 and _SEPARATOR.fullmatch(prose, forms[first - 1].end, forms[first].start):
        first -= 1
    group = forms[first:]
    for form in group:
        if form.fault is not None:
            raise form.fault
    boxes = [box for form in group for box in form.boxes]
    if (
        first > 0
        and not announces_correction(prose[forms[first - 1].end : forms[first].start])
        and forms[first - 1].boxes != boxes
    ):
        raise UnreadableReply("The answer gives boxes in several places; give one list of all boxes.")
    return boxes


def _to_box(raw: RawBox, frame: tuple[float, float], order: BoxOrder, tolerance: float) -> Box:
    """The box in fractions of the picture.

    Raises:
        UnreadableReply: the numbers are no box in this frame.
    """
    x1, y1, x2, y2 = raw.corners(order)
    written = [f"{number:g}" for number in raw.numbers]
    if not (math.isfinite(x2) and math.isfinite(y2)) or x1 > x2 or y1 > y2:
        raise UnreadableReply(f"The corners of the box {written} are swapped.")
    if max(frame) > 10 and 0 < max(raw.numbers) <= 1:
        raise UnreadableReply(f"The box {written} counts in fractions, not up to {frame[0]:g} and {frame[1]:g}.")
    corners = (x1 / frame[0], y1 / frame[1], x2 / frame[0], y2 / frame[1])
    if min(corners) < -tolerance or max(corners) > 1 + tolerance:
        raise UnreadableReply(f"The box {written} lies outside the frame of {frame[0]:g} by {frame[1]:g}.")
    return Box.clipped(*corners)
