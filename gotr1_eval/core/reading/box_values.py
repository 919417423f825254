"""What boxes an object, a list or a string gives, still in the model's own numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading.context import name_of
from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, Value
from gotr1_eval.core.reading.numbers import is_placeholder
from gotr1_eval.core.reading.reply import UnreadableReply

BOX_KEYS = {"bbox_2d", "bbox2d", "bbox", "box", "bounding_box", "bounding_box_2d", "boundingbox"}
Y_FIRST_KEY = "box_2d"
"""The key of models that answer y before x; other orders refuse it."""
_LABEL_KEYS = (
    "label_en",
    "name_en",
    "label",
    "name",
    "object",
    "text_content",
    "text",
    "class",
    "class_name",
    "category",
    "names",
    "object_name",
)
_CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
_SIDES = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("x1", "y1", "w", "h"),
    ("x1", "y1", "width", "height"),
    ("left", "top", "w", "h"),
    ("left", "top", "width", "height"),
    ("xmin", "ymin", "w", "h"),
    ("xmin", "ymin", "width", "height"),
    ("x_min", "y_min", "w", "h"),
    ("x_min", "y_min", "width", "height"),
)
_SILENT = {
    "reason",
    "reasons",
    "reasoning",
    "explanation",
    "color",
    "colour",
    "size",
    "image_size",
    "resolution",
    "score",
    "confidence",
    "certainty",
    "probability",
    "visibility",
    "position",
    "status",
    "note",
    "notes",
    "comment",
    "comments",
    "remark",
    "remarks",
    "thought",
    "thoughts",
    "thinking",
    "rationale",
    "unit",
    "units",
    "format",
    "bbox_format",
    "box_format",
    "order",
}
_WRAPPERS = re.compile(
    r"(?:detect(?:ed|ion)s?|found|objects?|instances?|(?:bound(?:ing)?_)?b?box(?:es)?|bboxes_2d|bbox_2ds|results?"
    r"|answers?"
    r"|output|predictions?|annotations?|items|data|response|locations?|coordinates|grounding"
    r"|layout|plan|elements|entities|positions|regions|placements)(?:_objects|_boxes)?"
)
_PRESENCE = {"found", "present", "exists", "visible", "detected"}
_FALSE, _NULL = {"false", "no"}, {"null", "none", "nil"}
_ABSENT = re.compile(
    r"(?:null|none|nil|nothing|no|none found|(?:it is )?not (?:found|present|visible|there|in the image)"
    r"|(?:no|nothing)(?: such)?(?: (?:object|instance|match|box)(?:e?s)?)?(?: (?:was|were))? (?:found|detected|present)"
    r"|there (?:is|are) none|未(?:找到|检测到|发现|见)\w{0,8}|没有(?:找到|检测到|发现)?\w{0,8}|不存在|无"
    r"|找不到\w{0,8}|图(?:中|像中|片中)(?:没有|不存在)\w{0,12}"
    r"|見つかりません(?:でした)?|ありません|存在しません|없음|없습니다|찾을 수 없(?:음|습니다)"
    r"|nicht (?:gefunden|vorhanden|sichtbar)"
    r"|keine?[sr]?(?: gefunden)?"
    r"|no (?:se )?(?:encontrado|encontrada|encuentra|encontró)|non trouvée?|introuvable|aucune?|не найдено?"
    r"|отсутствует|нет"
    r"|não encontrad[oa]|non trovat[oa]|niet gevonden)",
    re.I,
)
_DENYING_LABEL = re.compile(
    r".*\bnot (?:visible|found|present|there|shown|in)\b.*|.*\b(?:absent|missing|invisible)\b.*"
    r"|no [^\W\d]+|未.*|没有.*",
    re.I,
)
_COORDINATE = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]{1,3})?"
"""Also as programs print it: ``.5``, ``200.``."""
_NUMBER = re.compile(_COORDINATE)
_BETWEEN = r"(?:[\s,;()\[\]]|(?:to|and)(?=[\s(\[])|[-–—](?=\s*+[(\[]))*+"
_COORDINATES = re.compile(rf"{_BETWEEN}(?:{_COORDINATE}(?![\w.+%–-]|-(?!\s*[(\[])){_BETWEEN})*+")
_GROUP = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_NO_BOX = re.compile(r"\s*\[[\s\[\]]*\]\s*")


BoxOrder = Literal["xyxy", "yxyx", "xywh"]
"""What a box's four numbers are: two corners, two corners with y first, or a corner with width and height."""


@dataclass(frozen=True, slots=True)
class RawBox:
    """A box as it is written.

    Attributes:
        label: the name that stands with it.
        numbers: its four numbers, in the answer's own order and frame.
        order: their order, where each number has its own key.
        hints: where there is no label, words beside the box that may be its name.
    """

    label: str | None
    numbers: tuple[float, float, float, float]
    order: BoxOrder | None = None
    hints: tuple[str, ...] = field(default=(), compare=False)

    def corners(self, order: BoxOrder = "xyxy") -> tuple[float, float, float, float]:
        """The numbers as x1, y1, x2, y2.

        Args:
            order: what the numbers are where their keys do not say it.
        """
        first, second, third, fourth = self.numbers
        match self.order or order:
            case "yxyx":
                return (second, first, fourth, third)
            case "xywh":
                # As a person adds them: 0.4 and 0.2 are 0.6, whatever binary fractions say.
                return (first, second, round(first + third, 9), round(second + fourth, 9))
        return self.numbers


def boxes_in(value: Value, label: str | None = None, *, y_first: bool = False) -> list[RawBox] | None:
    """The boxes that a value gives; empty for an explicit "not there", None when it says nothing about boxes.

    Raises:
        UnreadableReply: it speaks of boxes, but not all of them can be read.
    """
    if isinstance(value, Leaf):
        return None
    if isinstance(value, Pairs):
        return _in_object(value, label, y_first=y_first)
    found = _in_list(value, label, y_first=y_first)
    if found is not None and not value.closed:
        raise UnreadableReply("The list of boxes was cut off.", why=Why.TRUNCATED)
    return found


def says_absent(text: str) -> bool:
    """Whether the words say no more than that the thing is not there."""
    return _ABSENT.fullmatch(" ".join(text[:200].split()).strip(" .!*_`\"'")) is not None


def boxes_in_text(text: str, label: str | None) -> list[RawBox]:
    """The boxes written out in a string or between markers: ``(1,2),(3,4)``, ``[1, 2, 3, 4]``, ``[[..], [..]]``.

    Raises:
        UnreadableReply: anything else stands there, or the numbers are not four a box.
    """
    if _NO_BOX.fullmatch(text):
        return []
    numbers = written_numbers(text)
    if numbers is None:
        raise UnreadableReply(f"{text[:60]!r} is no box [x1, y1, x2, y2].")
    if not numbers or len(numbers) % 4 or not is_divided(text):
        raise UnreadableReply(f"A box has four numbers, not {len(numbers)}.")
    return [_raw(label, numbers[start : start + 4]) for start in range(0, len(numbers), 4)]


def written_numbers(text: str) -> list[float] | None:
    """The numbers of what holds nothing but numbers, brackets and commas; None where anything else stands there.

    A percent sign, a letter or a foreign minus would make another number of what is left when it is passed over.
    """
    if not _COORDINATES.fullmatch(text):
        return None
    return [float(number) for number in _NUMBER.findall(text)]


def is_divided(text: str) -> bool:
    """Whether its brackets divide the numbers of a text into boxes or corners: all hold four, or all hold two."""
    counts = {len(_NUMBER.findall(group[1])) for group in _GROUP.finditer(text)}
    return counts in (set(), {2}, {4})


def _raw(label: str | None, numbers: list[float], order: BoxOrder | None = None) -> RawBox:
    x1, y1, x2, y2 = numbers
    return RawBox(label, (x1, y1, x2, y2), order)


def _number(value: Value) -> float | None:
    """A coordinate; models put some of them between quotes."""
    if isinstance(value, Leaf) and _NUMBER.fullmatch(value.text.strip()):
        return float(value.text)
    return None


def _in_list(items: Items, label: str | None, *, y_first: bool) -> list[RawBox] | None:
    values = items.values
    if not values:
        return [] if items.closed else None
    if all(isinstance(value, Leaf) and value.text.casefold() in _NULL for value in values):
        return []
    numbers = [number for value in values if (number := _number(value)) is not None]
    if numbers:
        return _from_numbers(numbers, items, label)
    if corners := _two_points(values):
        return [_raw(label, corners)]
    if len(values) == 2 and isinstance(values[0], Leaf) and values[0].quoted:
        return boxes_in(values[1], values[0].text, y_first=y_first)
    parts = [boxes_in(value, label, y_first=y_first) for value in values]
    if any(parts) and None in parts:
        raise UnreadableReply("Some entries of the list are no boxes.")
    return None if None in parts else [box for part in parts for box in part or ()]


def _from_numbers(numbers: list[float], items: Items, label: str | None) -> list[RawBox] | None:
    """One box from a list that holds numbers; a footnote such as [1] says nothing."""
    if len(items.values) < 3:
        return None
    if len(numbers) != 4 or len(items.values) != 4:
        raise UnreadableReply(f"A box has four numbers, not {len(numbers)} in a list of {len(items.values)}.")
    return [_raw(label, numbers)]


def _two_points(values: list[Value]) -> list[float] | None:
    """The four numbers of [[x1, y1], [x2, y2]]."""
    numbers = [_number(inner) for value in values if isinstance(value, Items) for inner in value.values]
    sizes = [len(value.values) for value in values if isinstance(value, Items) and value.closed]
    known = [number for number in numbers if number is not None]
    return known if len(values) == 2 and sizes == [2, 2] and len(known) == 4 else None


def _in_object(pairs: Pairs, label: str | None, *, y_first: bool) -> list[RawBox] | None:
    fields = [(name_of(key), inner) for key, inner in pairs.pairs]
    label = _label(dict(fields)) or label
    keys = BOX_KEYS | {Y_FIRST_KEY} if y_first else BOX_KEYS
    given = [inner for key, inner in fields if key in keys]
    denied = any(key in _PRESENCE and isinstance(v, Leaf) and v.text.casefold() in _FALSE for key, v in fields)
    found: list[RawBox] | None
    if corners := _named(dict(fields), _CORNERS):
        found = [_raw(label, corners, "xyxy")]
    elif corners := _named(dict(fields), _SIDES):
        found = [_raw(label, corners, "xywh")]
    elif given:
        found = _boxed(given, label)
    else:
        found = _in_fields(pairs, label, y_first=y_first)
    if found and label is not None and (says_absent(label) or _DENYING_LABEL.fullmatch(label)):
        raise UnreadableReply("The answer says that the object is not there, and gives a box.")
    if denied and found:
        raise UnreadableReply("The answer says that the object is not there, and gives a box.")
    if denied:
        return []
    hints = _hints(fields, keys) if label is None and found else ()
    return [box if box.label or box.hints else replace(box, hints=hints) for box in found] if hints and found else found


def _hints(fields: list[tuple[str, Value]], box_keys: set[str]) -> tuple[str, ...]:
    """Texts beside a box under keys that are not known for labels, such as "description" or "entity"."""
    idle = _SILENT | _PRESENCE | box_keys
    return tuple(
        value.text
        for key, value in fields
        if key not in idle and isinstance(value, Leaf) and value.quoted and re.search(r"[^\W\d_]", value.text)
    )


def label_of(pairs: Pairs) -> str | None:
    """The name that an object gives itself."""
    return _label({name_of(key): inner for key, inner in pairs.pairs})


def _label(fields: dict[str, Value]) -> str | None:
    for key in _LABEL_KEYS:
        value = fields.get(key)
        if isinstance(value, Pairs):
            # A name in several languages.
            value = {name_of(inner): text for inner, text in value.pairs}.get("en")
        if isinstance(value, Items) and (several := [one.text for one in value.values if isinstance(one, Leaf)]):
            # A list of names names them all.
            return ", ".join(several)
        if isinstance(value, Leaf) and (value.quoted or value.text.casefold() not in _NULL):
            return value.text
    return None


def _named(fields: dict[str, Value], quadruples: tuple[tuple[str, ...], ...]) -> list[float] | None:
    """The four numbers of {"x1": ..., "y1": ..., "x2": ..., "y2": ...}."""
    for names in quadruples:
        numbers = [_number(fields[name]) for name in names if name in fields]
        known = [number for number in numbers if number is not None]
        if len(known) == 4:
            return known
    return None


def _boxed(given: list[Value], label: str | None) -> list[RawBox] | None:
    """What stands under the key of a box."""
    if all(_is_example(value) for value in given):
        return None
    read = [_under_key(value, label) for value in given]
    if any(one != read[0] for one in read):
        raise UnreadableReply("One object gives two different boxes.")
    return read[0]


def _is_example(value: Value) -> bool:
    """[x1, y1, x2, y2], as the question shows it."""
    return isinstance(value, Items) and bool(value.values) and all(is_placeholder(inner) for inner in value.values)


def _under_key(value: Value, label: str | None) -> list[RawBox]:
    if isinstance(value, Leaf):
        return [] if says_absent(value.text) else boxes_in_text(value.text, label)
    if not value.closed:
        raise UnreadableReply("The answer was cut off inside a box.", why=Why.TRUNCATED)
    found = boxes_in(value, label)
    if found is None:
        raise UnreadableReply("A box is four numbers [x1, y1, x2, y2].")
    return found


def _in_fields(pairs: Pairs, label: str | None, *, y_first: bool) -> list[RawBox] | None:
    """Boxes deeper in an object, under a wrapping name ("detections") or under the name of what they show."""
    parts: list[list[RawBox]] = []
    for key, inner in pairs.pairs:
        name = name_of(key)
        wraps = _WRAPPERS.fullmatch(name) is not None
        if name in _SILENT or name in _LABEL_KEYS[:6]:
            continue
        if isinstance(inner, Leaf):
            if wraps and says_absent(inner.text):
                parts.append([])
            continue
        if "box" in name and not wraps:
            raise UnreadableReply(f'"{key[:40]}" is not the key of a box that was asked for.')
        found = boxes_in(inner, label if wraps else key, y_first=y_first)
        if found and label is not None and isinstance(inner, Items) and not wraps:
            raise UnreadableReply(f'"{key[:40]}" is not the key of a box that was asked for.')
        if found is not None:
            parts.append(found)
    return [box for part in parts for box in part] if parts else None
