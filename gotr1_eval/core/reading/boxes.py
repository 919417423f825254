"""Boxes from the answers of language-vision models that were asked where something is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading.box_text import Form, bare_points, denies, is_not_there, marked_boxes
from gotr1_eval.core.reading.box_values import RawBox, boxes_in
from gotr1_eval.core.reading.literals import State, Structure, find_structures
from gotr1_eval.core.reading.reply import UnreadableReply, answer_part, nothing_found
from gotr1_eval.core.reading.structures import blanked, is_cut, is_example
from gotr1_eval.core.types import Box

BoxOrder = Literal["xyxy", "yxyx", "xywh"]
"""What a box's four numbers are: two corners, two corners with y first, or a corner with width and height."""

_SEPARATOR = re.compile(r"(?:[\s,;&•*-]|\band\b|\b[0-9]{1,2}[.)]\s)*+", re.I)
_CUE = re.compile(
    r"\b(?:answer|final(?:ly)?|correct(?:ed|ion)?|actually|wait|instead|revis\w+|refin\w+|reconsider\w*|adjust\w*"
    r"|so|thus|therefore|output|result|better|more precise(?:ly)?)\b",
    re.I,
)


def read_boxes(
    text: str,
    *,
    frame: tuple[float, float],
    order: BoxOrder = "xyxy",
    tolerance: float = 0.01,
    finish: str | None = None,
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
    forms = [form for one in structures if (form := _form(rest, one, y_first=order == "yxyx")) is not None]
    forms += bare_points(blanked(rest, structures)) + ([marked] if marked else [])
    if not forms:
        if finish != "length" and is_not_there(answer):
            return []
        raise nothing_found(answer, "box", finish=finish, cut=is_cut(structures))
    if is_cut(structures) and max(form.end for form in forms) < structures[-1].end:
        raise UnreadableReply("The answer was cut off inside its last box.", why=Why.TRUNCATED)
    boxes = _last_group(answer, sorted(forms, key=lambda form: form.start))
    if boxes and denies(blanked(rest, structures)):
        raise UnreadableReply("The answer says that something is not there, and gives a box.")
    return [(box.label, _to_box(box, frame, order, tolerance)) for box in boxes]


def _without(answer: str, form: Form) -> str:
    return answer[: form.start] + "\0" * (form.end - form.start) + answer[form.end :]


def _form(answer: str, structure: Structure, *, y_first: bool) -> Form | None:
    """What a structure declares; None when it is an example or says nothing about boxes."""
    start, end = structure.start, structure.end
    if is_example(answer, structure) or (end - start == 2 and answer[max(0, start - 1) : start].isalnum()):
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


def _last_group(answer: str, forms: Sequence[Form]) -> list[RawBox]:
    """The boxes of the last declaration: the last form with those that directly precede it.

    Raises:
        UnreadableReply: one of them cannot be read, or it is not clear whether the last one is meant to replace others.
    """
    first = len(forms) - 1
    while first > 0 and _SEPARATOR.fullmatch(answer, forms[first - 1].end, forms[first].start):
        first -= 1
    group = forms[first:]
    for form in group:
        if form.fault is not None:
            raise form.fault
    boxes = [box for form in group for box in form.boxes]
    if first > 0 and not _replaces(answer, forms[first - 1], forms[first]) and forms[first - 1].boxes != boxes:
        raise UnreadableReply("The answer gives boxes in several places; give one list of all boxes.")
    return boxes


def _replaces(answer: str, earlier: Form, later: Form) -> bool:
    """Whether the words between two forms announce the later one as the answer."""
    between = answer[earlier.end : later.start]
    if _CUE.search(between):
        return True
    # A fence around the later form only.
    return between.count("```") == 1 and re.search(r"```\w*\s*\Z", between) is not None


def _to_box(raw: RawBox, frame: tuple[float, float], order: BoxOrder, tolerance: float) -> Box:
    """The box in fractions of the picture.

    Raises:
        UnreadableReply: the numbers are no box in this frame.
    """
    x1, y1, x2, y2 = raw.numbers
    if order == "yxyx":
        x1, y1, x2, y2 = y1, x1, y2, x2
    elif order == "xywh":
        x2, y2 = x1 + x2, y1 + y2
    written = [f"{number:g}" for number in raw.numbers]
    if not (math.isfinite(x2) and math.isfinite(y2)) or x1 > x2 or y1 > y2:
        raise UnreadableReply(f"The corners of the box {written} are swapped.")
    if max(frame) > 10 and 0 < max(raw.numbers) <= 1:
        raise UnreadableReply(f"The box {written} counts in fractions, not up to {frame[0]:g} and {frame[1]:g}.")
    corners = (x1 / frame[0], y1 / frame[1], x2 / frame[0], y2 / frame[1])
    if min(corners) < -tolerance or max(corners) > 1 + tolerance:
        raise UnreadableReply(f"The box {written} lies outside the frame of {frame[0]:g} by {frame[1]:g}.")
    return Box.clipped(*corners)
