"""Reading and writing reasoning chains: prose with named objects and their boxes.

The two forms of the paper (section 3; the released examples), on a 0..1000 grid:

    A <|obj_start|>yellow vase<|obj_end|> <|box_start|>(202,482),(729,964)<|box_end|>, which sits ...
    a butterfly (0,246),(533,861) and a candle (501,133),(992,897)

and what other models write, all of them also mixed:

    cat [0, 400, 200, 600]      cat: (0, 400, 200, 600)      cat: [[0, 400], [200, 600]]
    <ref>cat</ref><box>(0,400),(200,600)</box>, and the same markers as <|object_ref_start|>, <|ref|>, <bbox>, <|det|>
    [{"bbox_2d": [0, 400, 200, 600], "label": "cat"}], {"cat": [0, 400, 200, 600]}: what `core.reading` takes for boxes

Numbers are x1, y1, x2, y2. Their scale is one for the whole chain: fractions where all coordinates lie between 0 and 1
and one has a decimal point, else thousandths. Boxes that this leaves open have no place (`Defect.UNKNOWN_SCALE`).

Names and boxes are paired by position: a box belongs to the last name before it. No input raises; whatever is
wrong with a chain becomes a named `Defect`, for a broken chain is data about the model that wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gotr1_eval.core.names import name_words, spelling, word_set
from gotr1_eval.core.reading.box_values import RawBox, boxes_in, label_of
from gotr1_eval.core.reading.literals import Items, Pairs, State, Structure, Value, find_structures
from gotr1_eval.core.reading.reply import UnreadableReply
from gotr1_eval.core.types import Box

OBJ_START, OBJ_END = "<|obj_start|>", "<|obj_end|>"
BOX_START, BOX_END = "<|box_start|>", "<|box_end|>"
BEGIN_OF_IMAGE = "<begin_of_image>"
GRID = 1000
"""Chains count coordinates from 0 to this, origin top left."""


class Defect(StrEnum):
    """What can be wrong with a chain or with one of its objects."""

    MISSING_BOX = "missing box"
    MISSING_NUMBER = "missing number"
    EXTRA_NUMBER = "extra number"
    SWAPPED_CORNERS = "swapped corners"
    OUT_OF_RANGE = "out of range"
    ZERO_AREA = "zero area"
    CUT_OFF = "cut off"
    UNNAMED_BOX = "unnamed box"
    STRAY_TOKEN = "stray token"
    UNKNOWN_SCALE = "unknown scale"


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """One object of a plan.

    Attributes:
        name: as written, white space folded.
        box: clipped to the picture, corners sorted; None when no box can be read (see `defects`).
        span: where name and box stand in the chain's text, [start, end).
    """

    name: str
    box: Box | None
    defects: tuple[Defect, ...] = ()
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Chain:
    """A parsed reasoning chain.

    Attributes:
        text: what was parsed, up to `<begin_of_image>`.
        objects: every named object in order of appearance, with or without a readable box.
        prose: the text without boxes and without markers, as the semantic judge reads it.
        defects: faults of no object in particular (an unnamed box, a stray token).
        ended: the chain closed itself with `<begin_of_image>`.
    """

    text: str
    objects: tuple[PlannedObject, ...]
    prose: str
    defects: tuple[Defect, ...]
    ended: bool

    @property
    def boxed(self) -> tuple[tuple[str, Box], ...]:
        """(name, box) of the objects that have a readable box."""
        return tuple((planned.name, planned.box) for planned in self.objects if planned.box is not None)


NOTATIONS = (
    "<|obj_start|>cat<|obj_end|> <|box_start|>(0,400),(200,600)<|box_end|>, cat (0,400),(200,600), "
    'cat [0, 400, 200, 600], <box>...</box>, and JSON such as [{"bbox_2d": [0, 400, 200, 600], "label": "cat"}]'
)
"""The notations of plans, for messages."""

_OBJ_STARTS = (OBJ_START, "<|object_ref_start|>", "<|ref|>", "<ref>")
_OBJ_ENDS = (OBJ_END, "<|object_ref_end|>", "<|/ref|>", "</ref>")
_BOX_STARTS = (BOX_START, "<|box|>", "<|det|>", "<box>", "<bbox>")
_BOX_ENDS = (BOX_END, "<|/box|>", "<|/det|>", "</box>", "</bbox>")


def _any(markers: Iterable[str]) -> str:
    return "|".join(map(re.escape, markers))


# A bare box needs all four numbers in one of these very shapes; prose holds too many other numbers in brackets.
_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
_PAIR = rf"\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)"
_SQUARE_PAIR = rf"\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]"
_FOUR = rf"{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}}"
_TOKEN = re.compile(
    rf"(?P<name>{_any(_OBJ_STARTS)})|(?P<box>{_any(_BOX_STARTS)})"
    rf"|(?P<bare>{_PAIR}\s*(?:(?:,|-|–|to\b)\s*)?{_PAIR}|{_SQUARE_PAIR}\s*(?:,\s*)?{_SQUARE_PAIR}"
    rf"|\(\s*{_FOUR}\s*\)|\[\s*{_FOUR}\s*\])|(?P<stray>{_any((*_OBJ_ENDS, *_BOX_ENDS))})"
)
_ANY_MARKER = re.compile(_any((*_OBJ_STARTS, *_OBJ_ENDS, *_BOX_STARTS, *_BOX_ENDS)))
_OF_PAPER = re.compile(rf"{re.escape(BOX_START)}|\([^()]*\)\s*,?\s*\(")
_DECIMAL = re.compile(r"[0-9]\.[0-9]")
_JSON = re.compile(r"\[\s*\{|\{")
OVERSHOOT = 0.01
"""How far, in parts of the side, a coordinate may lie outside and is clipped before it speaks against a scale."""
_NUMBERS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_CLAUSE_END = re.compile(r"[.,;:!?()\n]")
_DETERMINER = re.compile(
    r"\b(?:an?|the|one|two|three|four|five|six|seven|eight|another|some|its|his|her|their)\b", re.I
)
_LEADING_WORD = re.compile(r"^(?:and|or|with|of|on|in|at|by|is|are|next to|near|to|from|behind|beside)(?:\s+|$)", re.I)
_GLUE = re.compile(r"[\s,;&]*+(?:and[\s,;&]*+)?", re.I)
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


@dataclass(slots=True)
class _Open:
    """A name that waits for its box, or that just received one (`boxed`)."""

    name: str
    start: int
    end: int
    boxed: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Written:
    """A box as it is written: its numbers, or what is wrong with them."""

    numbers: tuple[float, ...]
    faults: tuple[Defect, ...] = ()
    decimal: bool = False
    of_paper: bool = True


@dataclass(frozen=True, slots=True)
class _Object:
    """An object of a plan before the scale of its chain is known."""

    name: str
    box: _Written
    span: tuple[int, int]


def parse_chain(text: str) -> Chain:
    """Parse a reasoning chain.

    Args:
        text: the chain as generated; anything after the first `<begin_of_image>` is ignored.

    Returns:
        The chain's objects, prose and defects. Never raises.
    """
    body, ended, _ = text.partition(BEGIN_OF_IMAGE)
    objects: list[_Object] = []
    defects: list[Defect] = []
    removed: list[tuple[int, int, str]] = []
    name: _Open | None = None
    position = before = 0
    json = _json_plans(body)

    def close(pending: _Open | None) -> None:
        if pending is not None and not pending.boxed:
            fault = Defect.CUT_OFF if pending.cut else Defect.MISSING_BOX
            objects.append(_Object(pending.name, _Written((), (fault,)), (pending.start, pending.end)))

    while (match := _TOKEN.search(body, position)) or json:
        if json and (match is None or json[0].start < match.start()):
            if json[0].start >= position:
                close(name)
                name, before, position = None, json[0].end, json[0].end
                known = len(objects)
                defects += _add_structure(json[0], body, objects)
                removed.append((json[0].start, json[0].end, ", ".join(one.name for one in objects[known:])))
            json = json[1:]
            continue
        assert match is not None
        before, (start, position) = position, match.span()
        if match["stray"]:
            defects.append(Defect.STRAY_TOKEN)
        elif match["name"]:
            close(name)
            name, position = _read_name(body, start, position)
            if name is None:
                defects.append(Defect.CUT_OFF if position == len(body) else Defect.STRAY_TOKEN)
        else:
            inner, position = (match["bare"], position) if match["bare"] else _box_text(body, position)
            removed.append((start, position, ""))
            owner = _name_for_box(body, name, (before, start), bare=bool(match["bare"]))
            if owner is None:
                defects.append(Defect.UNNAMED_BOX)
                continue
            if owner is not name:
                close(name)
            name = owner
            cut = not match["bare"] and position == len(body) and not body.endswith(_BOX_ENDS)
            box = _read_box(inner, cut=cut, of_paper=_OF_PAPER.match(match.group()) is not None)
            objects.append(_Object(name.name, box, (name.start, position)))
            name = _Open(name.name, name.start, position, boxed=True)
    close(name)
    prose = _prose(body, removed)
    return Chain(body, _placed(objects), prose, tuple(defects), bool(ended))


def _json_plans(body: str) -> list[Structure]:
    """The JSON structures of a chain that hold objects, in order."""
    first = _JSON.search(body)
    if first is None:
        return []
    start = first.start()
    return [
        Structure(one.value, one.start + start, one.end + start, one.state)
        for one in find_structures(body[start:])
        if any(_boxes_or_fault(entry) for entry in _entries(one.value))
    ]


def _entries(value: Value) -> list[Pairs]:
    """The objects of a list, or under a wrapping key; else the object itself."""
    if isinstance(value, Items):
        return [entry for inner in value.values for entry in _entries(inner)]
    if not isinstance(value, Pairs):
        return []
    wrapped = [entry for _, inner in value.pairs if isinstance(inner, Items) for entry in _entries(inner)]
    return wrapped or [value]


def _boxes_or_fault(entry: Pairs) -> list[RawBox] | Defect | None:
    """The boxes of an entry; what is wrong with it; None where it is no object of a plan."""
    try:
        found = boxes_in(entry)
    except UnreadableReply:
        return Defect.MISSING_NUMBER if entry.closed else Defect.CUT_OFF
    if found:
        return found
    if label_of(entry) is None:
        return None
    return Defect.MISSING_BOX if entry.closed else Defect.CUT_OFF


def _add_structure(structure: Structure, body: str, objects: list[_Object]) -> list[Defect]:
    """Add the objects of a JSON plan, without those that prose has given in the same place; its defects."""
    span = (structure.start, structure.end)
    decimal = _DECIMAL.search(body[slice(*span)]) is not None
    known = {(spelling(one.name), one.box.numbers) for one in objects}
    defects: list[Defect] = []
    for entry in _entries(structure.value):
        found = _boxes_or_fault(entry)
        if isinstance(found, Defect):
            name = " ".join((label_of(entry) or "").split())
            if name:
                objects.append(_Object(name, _Written((), (found,)), span))
            else:
                defects.append(found)
        for raw in found if isinstance(found, list) else ():
            name = " ".join((raw.label or "").split())
            if not name:
                defects.append(Defect.UNNAMED_BOX)
            elif (spelling(name), raw.numbers) not in known:
                objects.append(_Object(name, _Written(raw.numbers, (), decimal, of_paper=False), span))
    if structure.state is State.CUT and not any(Defect.CUT_OFF in one.box.faults for one in objects):
        defects.append(Defect.CUT_OFF)
    return list(dict.fromkeys(defects))


def _placed(objects: Sequence[_Object]) -> tuple[PlannedObject, ...]:
    """The objects with their boxes in fractions of the picture, once the chain's scale is known."""
    whole = [one.box for one in objects if not one.box.faults or one.box.numbers]
    fractions = any(box.decimal for box in whole) and all(_up_to(1, box) for box in whole)
    others = [box for box in whole if not box.of_paper]
    # Beyond a thousand the others count pixels of a picture whose size nobody said.
    pixels = not fractions and not all(_up_to(GRID, box) for box in others)
    placed = []
    for one in objects:
        box, faults = _place(one.box, 1 if fractions else GRID, pixels=pixels and not one.box.of_paper)
        placed.append(PlannedObject(one.name, box, faults, one.span))
    return tuple(placed)


def _up_to(side: int, box: _Written) -> bool:
    return all(-OVERSHOOT * side <= number <= (1 + OVERSHOOT) * side for number in box.numbers)


def _place(written: _Written, side: int, *, pixels: bool) -> tuple[Box | None, tuple[Defect, ...]]:
    """The box in fractions of the picture, with whatever is wrong with it.

    Args:
        side: what the coordinates count up to.
        pixels: they count something else.
    """
    if not written.numbers:
        return None, written.faults
    x1, y1, x2, y2 = written.numbers
    largest = max(map(abs, written.numbers))
    # Fractions among thousandths; and in notations of unknown origin what may as well be fractions, or percent.
    other_scale = side == GRID and written.decimal and largest < 2
    unclear = side == GRID and not written.of_paper and (0 < largest <= 1 or (written.decimal and largest <= 100))
    if pixels or other_scale or unclear:
        return None, (*written.faults, Defect.UNKNOWN_SCALE)
    faults = list(written.faults)
    if x1 > x2 or y1 > y2:
        faults.append(Defect.SWAPPED_CORNERS)
    if min(written.numbers) < 0 or max(written.numbers) > side:
        faults.append(Defect.OUT_OF_RANGE)
    box = Box.clipped(x1 / side, y1 / side, x2 / side, y2 / side)
    if box.area == 0:
        faults.append(Defect.ZERO_AREA)
    return box, tuple(faults)


def _read_name(body: str, start: int, position: int) -> tuple[_Open | None, int]:
    """The name between `<|obj_start|>` (which ends at `position`) and its end marker or the next marker."""
    following = _ANY_MARKER.search(body, position)
    end = following.start() if following else len(body)
    name = " ".join(body[position:end].split())
    if following and following.group() in _OBJ_ENDS:
        end = following.end()
    if not name:
        return None, end
    return _Open(name, start, end, cut=following is None), end


def _box_text(body: str, position: int) -> tuple[str, int]:
    """What stands in a marked box, up to its end marker, the next marker, or the end."""
    following = _ANY_MARKER.search(body, position)
    if following is None:
        return body[position:], len(body)
    end = following.end() if following.group() in _BOX_ENDS else following.start()
    return body[position : following.start()], end


def _name_for_box(body: str, name: _Open | None, between: tuple[int, int], *, bare: bool) -> _Open | None:
    """Whose box this is: the waiting name, the prose just before it, or one more box of the last name.

    A marked box belongs to a waiting name whatever stands between. A bare one does unless a new noun phrase
    was begun in between ("... A dog (10,20),(30,40)").

    Args:
        between: [start, end) of the prose since whatever came before the box.
    """
    prose = body[slice(*between)]
    if name is not None and not name.boxed and not (bare and _DETERMINER.search(prose)):
        return name
    if name is not None and name.boxed and _GLUE.fullmatch(prose):
        return name
    words = _noun_before(prose)
    if not words:
        return None
    where = body.rfind(words, *between)
    return _Open(words, where if where >= 0 else between[1], between[1])


def _noun_before(text: str) -> str:
    """The noun phrase that ends a piece of prose: after its last clause mark and its last determiner."""
    clause = _CLAUSE_END.split(_without_link(text))[-1]
    determiners = list(_DETERMINER.finditer(clause))
    phrase = clause[_start_of_phrase(clause, [match.span() for match in determiners]) :] if determiners else clause
    phrase = phrase.strip()
    while lead := _LEADING_WORD.match(phrase):
        phrase = phrase[lead.end() :]
    words = [word.strip("*_`\"'“”|#") for word in phrase.split() if re.search(r"\w", word)]
    # Without a determiner the whole clause came along; a name of more than a few words is a sentence.
    return " ".join(words if determiners else words[-4:])


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


def _read_box(text: str, *, cut: bool, of_paper: bool) -> _Written:
    """The numbers of the box that is written in `text`."""
    numbers = tuple(float(number) for number in _NUMBERS.findall(text))
    if len(numbers) != 4:
        if len(numbers) > 4:
            return _Written((), (Defect.EXTRA_NUMBER,))
        return _Written((), (Defect.CUT_OFF if cut else Defect.MISSING_NUMBER,))
    return _Written(numbers, (Defect.CUT_OFF,) if cut else (), _DECIMAL.search(text) is not None, of_paper)


def _prose(body: str, removed: Iterable[tuple[int, int, str]]) -> str:
    """The body with the removed spans replaced by the words beside them, without markers, spaces set right."""
    kept = "".join(_complement(body, removed))
    kept = " ".join(_ANY_MARKER.sub(" ", kept).split())
    return re.sub(r"\s+([.,;:!?])", r"\1", kept)


def _complement(body: str, removed: Iterable[tuple[int, int, str]]) -> Iterator[str]:
    position = 0
    for start, end, words in removed:
        yield body[position:start]
        yield words
        position = end
    yield body[position:]


def write_box(box: Box) -> str:
    """The box as a chain writes it, on the 0..1000 grid and between markers."""
    x1, y1, x2, y2 = (round(value * GRID) for value in box.corners)
    return f"{BOX_START}({x1},{y1}),({x2},{y2}){BOX_END}"


def write_object(name: str, box: Box) -> str:
    """One named object with its box, in the special-token form.

    Raises:
        ValueError: the name is empty or holds one of the markers, so that it could not be read back.
    """
    if not name.strip() or _ANY_MARKER.search(name) or BEGIN_OF_IMAGE in name:
        raise ValueError(f"an object needs a name without chain markers, got {name!r}")
    return f"{OBJ_START}{name}{OBJ_END} {write_box(box)}"


def write_chain(objects: Iterable[tuple[str, Box]]) -> str:
    """A plain chain from a plan: one sentence that names every object with its box, then `<begin_of_image>`.

    `parse_chain` gives the same names in the same order, and the same boxes to within half a grid step.
    """
    written = [f"a {write_object(name, box)}" for name, box in objects]
    sentence = f"The picture shows {', '.join(written)}." if written else "The picture is empty."
    return sentence + BEGIN_OF_IMAGE
