"""What a text says of its own boxes' numbers: their order, the size of the picture they count in, their unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gotr1_eval.core.reading.box_values import BoxOrder
from gotr1_eval.core.reading.context import name_of
from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, Value

_ROLE = r"(?:[xy]_?(?:min|max|[0-9]|c(?:enter)?)?|c_?[xy]|[xy]_?center|left|top|right|bottom|w(?:idth)?|h(?:eight)?)"
_NAMED_ORDER = re.compile(rf"(?<![\w.]){_ROLE}(?:[\"'`\s]{{0,2}},[\"'`\s]{{0,2}}{_ROLE}){{3}}(?![\w])", re.I)
_WORD_ORDER = re.compile(
    r"\b(xyxy|ltrb|yxyx|tlbr|xywh|ltwh|tlwh|cxcywh|xcycwh|yolo format|coco format|center[- ]format)\b", re.I
)
_ORDERS: dict[str, BoxOrder] = {
    "xyxy": "xyxy",
    "ltrb": "xyxy",
    "yxyx": "yxyx",
    "xywh": "xywh",
    "ltwh": "xywh",
    "coco format": "xywh",
}
_LETTERS = {"left": "x", "right": "x", "top": "y", "bottom": "y"}
_PICTURE = r"(?:image|picture|photo|canvas|frame|resolution|size|dimensions?|grid)"
_TIMES = r"[ \t]?(?:[x×*]|by)[ \t]?"
_SIDE = r"(?<![\w.])[0-9]{2,5}"
_SIZE = re.compile(rf"({_SIDE})\s?[x×]\s?([0-9]{{2,5}})(?!\w|\.\d)")
_PICTURE_SIZE = re.compile(
    rf"\b{_PICTURE}s?\b[^.\n0-9]{{0,40}}?({_SIDE}){_TIMES}([0-9]{{2,5}})(?![\w]|\.[0-9])"
    rf"|({_SIDE}){_TIMES}([0-9]{{2,5}})[ \t]?(?:px\b|pixels?\b|[^.\n0-9]{{0,20}}?\b{_PICTURE}\b)"
    rf"|\b{_PICTURE}(?:['’]s)?\s+(?:has\s+a\s+)?width\b[\s:=a-z]{{1,8}}({_SIDE})[^.\n0-9]{{0,20}}?\bheight\b[\s:=a-z]{{1,8}}({_SIDE})"
    rf"|({_SIDE})\s?(?:pixels?|px)?\s+wide\b[^.\n0-9]{{0,20}}?({_SIDE})\s?(?:pixels?|px)?\s+(?:high|tall)\b",
    re.I,
)
_NUMBERS = r"(?:coordinates?|coords?|numbers|values|boxes|bbox\w*|positions?|units?)"
_PERCENT = re.compile(
    rf"\b{_NUMBERS}\b[^.\n]{{0,40}}?(?:\bpercent(?:age)?s?\b|%)|\b(?:in|as)\s+(?:percent(?:age)?s?\b|%)|\(\s*%\s*\)",
    re.I,
)
_PIXELS = re.compile(
    rf"\b{_NUMBERS}\b[^.\n]{{0,40}}?\b(?:pixels?|px)\b|\b(?:in|as)\s+(?:absolute\s+)?pixels?\b|\bpixel\s+{_NUMBERS}\b",
    re.I,
)
_TOP = re.compile(
    r"\b(?:from|between|ranges?|scaled?|normali[sz]ed|rescaled|relative|grid|interval)\b[^.\n0-9]{0,30}?"
    r"(?:(?<![\w.])0(?:\.0)?\s*(?:-|–|—|to|and|\.\.+)\s*(?P<top>1|[0-9]{2,5})(?:\.0)?(?![\w]|\.[0-9])"
    r"|\[\s*0(?:\.0)?\s*,\s*(?P<list>1|[0-9]{2,5})(?:\.0)?\s*\](?!\s*,?\s*\[))",
    re.I,
)
_SIZE_KEY = re.compile(
    r"(?:image|img|picture|photo|canvas|frame|original|input)_?(?:size|resolution|dimensions?)|resolution|canvas"
)
_WIDTH_KEY = re.compile(r"(?:image|img|picture|photo|canvas|frame|original|input)_?(width|height|w|h)")
_UNIT_KEY = re.compile(r"(?:coordinate_?|bbox_?|box_?)?(?:units?|scale|space|system)|coordinates?_(?:type|mode)")
_ORDER_KEY = re.compile(r"(?:coordinates?_|bbox_|box_)?(?:format|order|mode|convention)")
_ORDER_VALUES: dict[str, BoxOrder | None] = {
    "coco": "xywh", "yolo": None, "center": None, "centre": None, "voc": "xyxy", "pascal_voc": "xyxy",
}  # fmt: skip
_TWO_NUMBERS = re.compile(
    r"\s*[(\[]?\s*([0-9]{1,5})\s*(?:[x×*,]|by)\s*([0-9]{1,5})\s*(?:px|pixels?)?\s*[)\]]?\s*", re.I
)


@dataclass(frozen=True, slots=True)
class Stated:
    """What is stated of boxes.

    Attributes:
        orders: what their four numbers are; None for an order that none of ours is.
        sizes: (width, height) of the picture they count in.
        tops: where their scale ends: 100 for percent.
        pixels: they are said to be pixels.
    """

    orders: frozenset[BoxOrder | None] = frozenset()
    sizes: frozenset[tuple[float, float]] = frozenset()
    tops: frozenset[float] = frozenset()
    pixels: bool = False


def stated(text: str, values: Iterable[Value], *, loose: bool) -> Stated:
    """What a text says of its boxes, in its words and in the fields beside them.

    Args:
        text: the whole text.
        values: the structures in it.
        loose: take every "512x512" for a size; else only that of a picture, frame or grid.
    """
    orders: set[BoxOrder | None] = {_ORDERS.get(word.lower()) for word in _WORD_ORDER.findall(text)}
    orders |= {_order_of(found.group()) for found in _NAMED_ORDER.finditer(text)}
    sizes = {(float(width), float(height)) for width, height in _SIZE.findall(text)} if loose else set()
    for found in _PICTURE_SIZE.finditer(text):
        width, height = (side for side in found.groups() if side)
        sizes.add((float(width), float(height)))
    tops = {float(found["top"] or found["list"]) for found in _TOP.finditer(text)}
    tops |= {100.0} if _PERCENT.search(text) else set()
    pixels = _PIXELS.search(text) is not None
    for pairs in _objects(values):
        fields = {name_of(key): value for key, value in pairs.pairs}
        sizes |= set(_sizes_in(fields))
        for key, value in fields.items():
            if not isinstance(value, Leaf):
                continue
            word = name_of(value.text)
            if _ORDER_KEY.fullmatch(key) and word in _ORDER_VALUES:
                orders.add(_ORDER_VALUES[word])
            if _UNIT_KEY.fullmatch(key):
                tops |= {100.0} if re.match(r"percent|%", value.text, re.I) else set()
                tops |= {1.0} if re.match(r"fraction|ratio", value.text, re.I) else set()
                pixels = pixels or re.match(r"pixel|px", value.text, re.I) is not None
    return Stated(frozenset(orders), frozenset(sizes), frozenset(tops), pixels)


def _order_of(names: str) -> BoxOrder | None:
    """The order that four names of coordinates tell; None for another, such as a centre with width and height."""
    words = [word.strip(" \"'`\n").lower() for word in names.split(",")]
    if any("c" in word for word in words):
        return None
    letters = "".join(_LETTERS.get(word, word[0]) for word in words)
    return {"xyxy": "xyxy", "yxyx": "yxyx", "xywh": "xywh"}.get(letters)  # type: ignore[return-value]


def _objects(values: Iterable[Value]) -> Iterator[Pairs]:
    """Every object in the values, at any depth."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Pairs):
            yield value
            waiting += [inner for _, inner in value.pairs]
        elif isinstance(value, Items):
            waiting += value.values


def _sizes_in(fields: dict[str, Value]) -> Iterator[tuple[float, float]]:
    """The sizes of the picture that an object's fields give."""
    sides: dict[str, float] = {}
    for key, value in fields.items():
        if _SIZE_KEY.fullmatch(key) and (size := _size(value)):
            yield size
        if (side := _WIDTH_KEY.fullmatch(key)) and isinstance(value, Leaf) and value.text.strip().isdecimal():
            sides[side[1][0]] = float(value.text)
    if _lists_objects(fields):
        # Beside a list of objects these are no box's own sides.
        size = _size(Pairs(list(fields.items())))
        if size:
            yield size
    if sides:
        yield sides.get("w", sides.get("h", 0.0)), sides.get("h", sides.get("w", 0.0))


def _lists_objects(fields: dict[str, Value]) -> bool:
    lists = [value for value in fields.values() if isinstance(value, Items)]
    return any(isinstance(inner, Pairs) for value in lists for inner in value.values)


def _size(value: Value) -> tuple[float, float] | None:
    """Width and height in a text, a list of two, or an object."""
    match value:
        case Leaf(text=text):
            found = _TWO_NUMBERS.fullmatch(text)
            return (float(found[1]), float(found[2])) if found else None
        case Items(values=[Leaf(text=width), Leaf(text=height)]):
            pass
        case Pairs():
            sides = {name_of(key): side.text for key, side in value.pairs if isinstance(side, Leaf)}
            width, height = sides.get("width", ""), sides.get("height", "")
        case _:
            return None
    return (float(width), float(height)) if width.strip().isdecimal() and height.strip().isdecimal() else None
