"""Reading and writing reasoning chains: prose with named objects and their boxes on a 0..1000 grid.

Two written forms are read, also mixed (paper section 3; the released examples):

    A <|obj_start|>yellow vase<|obj_end|> <|box_start|>(202,482),(729,964)<|box_end|>, which sits ...
    a butterfly (0,246),(533,861) and a candle (501,133),(992,897)

Names and boxes are paired by position: a box belongs to the last name before it. No input raises; whatever is
wrong with a chain becomes a named `Defect`, for a broken chain is data about the model that wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

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


# A bare box needs all four numbers in this very shape; prose holds too many other numbers in brackets.
_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
_PAIR = rf"\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)"
_TOKEN = re.compile(
    rf"(?P<name>{re.escape(OBJ_START)})|(?P<box>{re.escape(BOX_START)})"
    rf"|(?P<bare>{_PAIR}\s*,?\s*{_PAIR})|(?P<stray>{re.escape(OBJ_END)}|{re.escape(BOX_END)})"
)
_ANY_MARKER = re.compile("|".join(map(re.escape, (OBJ_START, OBJ_END, BOX_START, BOX_END))))
_NUMBERS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_CLAUSE_END = re.compile(r"[.,;:!?()\n]")
_DETERMINER = re.compile(
    r"\b(?:an?|the|one|two|three|four|five|six|seven|eight|another|some|its|his|her|their)\b", re.I
)
_LEADING_WORD = re.compile(r"^(?:and|or|with|of|on|in|at|by|is|are|next to|near|to|from|behind|beside)(?:\s+|$)", re.I)
_GLUE = re.compile(r"[\s,;&]*(?:and)?[\s,;&]*", re.I)


@dataclass(slots=True)
class _Open:
    """A name that waits for its box, or that just received one (`boxed`)."""

    name: str
    start: int
    end: int
    boxed: bool = False
    cut: bool = False


def parse_chain(text: str) -> Chain:
    """Parse a reasoning chain.

    Args:
        text: the chain as generated; anything after the first `<begin_of_image>` is ignored.

    Returns:
        The chain's objects, prose and defects. Never raises.
    """
    body, ended, _ = text.partition(BEGIN_OF_IMAGE)
    objects: list[PlannedObject] = []
    defects: list[Defect] = []
    removed: list[tuple[int, int]] = []
    name: _Open | None = None
    position = before = 0

    def close(pending: _Open | None) -> None:
        if pending is not None and not pending.boxed:
            fault = Defect.CUT_OFF if pending.cut else Defect.MISSING_BOX
            objects.append(PlannedObject(pending.name, None, (fault,), (pending.start, pending.end)))

    while match := _TOKEN.search(body, position):
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
            removed.append((start, position))
            owner = _name_for_box(body, name, (before, start), bare=bool(match["bare"]))
            if owner is None:
                defects.append(Defect.UNNAMED_BOX)
                continue
            if owner is not name:
                close(name)
            name = owner
            cut = not match["bare"] and position == len(body) and not body.endswith(BOX_END)
            box, faults = _read_box(inner, cut=cut)
            objects.append(PlannedObject(name.name, box, faults, (name.start, position)))
            name = _Open(name.name, name.start, position, boxed=True)
    close(name)
    prose = _prose(body, removed)
    return Chain(body, tuple(objects), prose, tuple(defects), bool(ended))


def _read_name(body: str, start: int, position: int) -> tuple[_Open | None, int]:
    """The name between `<|obj_start|>` (which ends at `position`) and its end marker or the next marker."""
    following = _ANY_MARKER.search(body, position)
    end = following.start() if following else len(body)
    name = " ".join(body[position:end].split())
    if following and following.group() == OBJ_END:
        end = following.end()
    if not name:
        return None, end
    return _Open(name, start, end, cut=following is None), end


def _box_text(body: str, position: int) -> tuple[str, int]:
    """What stands in a marked box, up to its end marker, the next marker, or the end."""
    following = _ANY_MARKER.search(body, position)
    if following is None:
        return body[position:], len(body)
    end = following.end() if following.group() == BOX_END else following.start()
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
    clause = _CLAUSE_END.split(text.rstrip())[-1] if text.strip() else ""
    determiners = list(_DETERMINER.finditer(clause))
    phrase = clause[determiners[-1].end() :] if determiners else clause
    phrase = phrase.strip()
    while lead := _LEADING_WORD.match(phrase):
        phrase = phrase[lead.end() :]
    words = [word for word in phrase.split() if re.search(r"\w", word)]
    # Without a determiner the whole clause came along; a name of more than a few words is a sentence.
    return " ".join(words if determiners else words[-4:])


def _read_box(text: str, *, cut: bool) -> tuple[Box | None, tuple[Defect, ...]]:
    """The box written in `text`, in fractions of the picture, with whatever is wrong with it."""
    numbers = [float(number) for number in _NUMBERS.findall(text)]
    if len(numbers) != 4:
        if len(numbers) > 4:
            return None, (Defect.EXTRA_NUMBER,)
        return None, (Defect.CUT_OFF if cut else Defect.MISSING_NUMBER,)
    faults: list[Defect] = [Defect.CUT_OFF] if cut else []
    x1, y1, x2, y2 = numbers
    if x1 > x2 or y1 > y2:
        faults.append(Defect.SWAPPED_CORNERS)
    if min(numbers) < 0 or max(numbers) > GRID:
        faults.append(Defect.OUT_OF_RANGE)
    box = Box.clipped(x1 / GRID, y1 / GRID, x2 / GRID, y2 / GRID)
    if box.area == 0:
        faults.append(Defect.ZERO_AREA)
    return box, tuple(faults)


def _prose(body: str, removed: Iterable[tuple[int, int]]) -> str:
    """The body without the removed spans and without markers, spaces set right."""
    kept = "".join(_complement(body, removed))
    kept = " ".join(_ANY_MARKER.sub(" ", kept).split())
    return re.sub(r"\s+([.,;:!?])", r"\1", kept)


def _complement(body: str, removed: Iterable[tuple[int, int]]) -> Iterator[str]:
    position = 0
    for start, end in removed:
        yield body[position:start]
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
