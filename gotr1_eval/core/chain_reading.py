"""Parsing chains: what stands in the text, then which name has which box.

The text is first taken into its tokens (names between markers, boxes, JSON plans, stray markers). Then it is settled
once for the whole chain whether boxes stand behind their names or before them, for a box that is given to its
neighbour's name is worse than one without a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from gotr1_eval.core.chain_plans import json_plans, objects_of
from gotr1_eval.core.chain_scale import WrittenBox, WrittenObject, placed
from gotr1_eval.core.chain_types import (
    BEGIN_OF_IMAGE,
    BOX_END,
    BOX_START,
    OBJ_END,
    OBJ_START,
    Chain,
    Defect,
)
from gotr1_eval.core.reading.box_values import is_divided, written_numbers
from gotr1_eval.core.reading.frames import stated
from gotr1_eval.core.reading.literals import Structure
from gotr1_eval.core.reading.nouns import begins_noun, is_lead, noun_before, noun_behind

_OBJ_STARTS = (OBJ_START, "<|object_ref_start|>", "<|ref|>", "<ref>")
_OBJ_ENDS = (OBJ_END, "<|object_ref_end|>", "<|/ref|>", "</ref>")
_BOX_STARTS = (BOX_START, "<|box|>", "<|det|>", "<box>", "<bbox>")
_BOX_ENDS = (BOX_END, "<|/box|>", "<|/det|>", "</box>", "</bbox>")


def _any(markers: Iterable[str]) -> str:
    return "|".join(map(re.escape, markers))


# A bare box needs all four numbers in one of these very shapes; prose holds too many other numbers in brackets.
_NUMBER = r"-?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_PAIR = rf"\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)"
_SQUARE_PAIR = rf"\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]"
_FOUR = rf"{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}}"
_FOUR_NUMBERS = (
    rf"{_PAIR}\s*(?:(?:,|-|–|to\b)\s*)?{_PAIR}|{_SQUARE_PAIR}\s*(?:,\s*)?{_SQUARE_PAIR}"
    rf"|\(\s*{_FOUR}\s*\)|\[\s*{_FOUR}\s*\]"
)
_BARE = re.compile(rf"\s*(?:{_FOUR_NUMBERS})(?!\s*,?\s*[\[(])")
_TOKEN = re.compile(
    rf"(?P<name>{_any(_OBJ_STARTS)})|(?P<box>{_any(_BOX_STARTS)})"
    rf"|(?P<bare>{_FOUR_NUMBERS})|(?P<stray>{_any((*_OBJ_ENDS, *_BOX_ENDS))})"
)
ANY_MARKER = re.compile(_any((*_OBJ_STARTS, *_OBJ_ENDS, *_BOX_STARTS, *_BOX_ENDS)))
_OF_PAPER = re.compile(rf"{re.escape(BOX_START)}|\([^()]*\)\s*,?\s*\(")
_FOREIGN = str.maketrans("：，、（）［］【】｛｝／．＝；＋－−＜＞。！？\u00a0\u3000", ":,,()[][]{}/.=;+--<>.!?  ")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
_GLUE = re.compile(r"[\s,;&]*+(?:and[\s,;&]*+)?", re.I)
_TIGHT = re.compile(r"[\s:=>*_|-]*+")
"""Between a name and the box that it surely has."""


def parse_chain(text: str) -> Chain:
    """Parse a reasoning chain.

    Args:
        text: the chain as generated; anything after the first `<begin_of_image>` is ignored.

    Returns:
        The chain's objects, prose and defects. Never raises.
    """
    body, ended, _ = text.partition(BEGIN_OF_IMAGE)
    plain = _plain(body)
    tokens = list(_tokens(body, plain))
    pairing = _Pairing(plain, tokens, _order(plain, tokens))
    pairing.run()
    prose = _prose(body, pairing.removed)
    said = stated(plain, [token.plan.value for token in tokens if token.plan], loose=False)
    return Chain(body, placed(pairing.objects, said), prose, tuple(pairing.defects), bool(ended))


def _plain(text: str) -> str:
    """The text with foreign digits and punctuation as ASCII, every character in its place."""
    if text.isascii():
        return text
    return _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), text.translate(_FOREIGN))


class _Kind(Enum):
    NAME = "name"
    BOX = "box"
    PLAN = "plan"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of a chain that is no prose, at [start, end).

    Attributes:
        text: what stands between a name's markers, or the numbers of a box.
        marked: of a box, that it stands between markers.
        cut: the chain ended inside it.
        of_paper: of a box, that it is written in one of the paper's two notations.
        plan: the JSON structure.
    """

    kind: _Kind
    start: int
    end: int
    text: str = ""
    marked: bool = False
    cut: bool = False
    of_paper: bool = False
    plan: Structure | None = None


def _tokens(body: str, plain: str) -> Iterator[_Token]:
    """The tokens of a chain, looked for in its plain form; names are taken as they are written."""
    position = 0
    plans = iter(json_plans(plain))
    plan = next(plans, None)
    while (match := _TOKEN.search(plain, position)) or plan:
        if plan and (match is None or plan.start < match.start()):
            if plan.start >= position:
                yield _Token(_Kind.PLAN, plan.start, plan.end, plan=plan)
                position = plan.end
            plan = next(plans, None)
            continue
        assert match is not None
        token = _token(body, plain, match)
        yield token
        position = token.end


def _token(body: str, plain: str, match: re.Match[str]) -> _Token:
    start, end = match.span()
    if match["stray"]:
        return _Token(_Kind.STRAY, start, end)
    if match["bare"]:
        of_paper = _OF_PAPER.match(match.group()) is not None
        return _Token(_Kind.BOX, start, end, match.group(), of_paper=of_paper)
    # Between markers: up to the end marker, the next marker, or the end of the chain.
    following = ANY_MARKER.search(plain, end)
    inner = slice(end, following.start() if following else len(body))
    if match["name"]:
        name = " ".join(body[inner].split())
        closed = following is not None and following.group() in _OBJ_ENDS
        stop = (following.end() if closed else following.start()) if following else len(body)
        kind = _Kind.NAME if name else _Kind.STRAY
        return _Token(kind, start, stop, name, cut=following is None if name else stop == len(body))
    if following is not None and following.group() in _BOX_ENDS:
        return _Token(_Kind.BOX, start, following.end(), plain[inner], marked=True, of_paper=match.group() == BOX_START)
    return _unclosed(plain, match, inner)


def _unclosed(plain: str, match: re.Match[str], inner: slice) -> _Token:
    """A box without its end marker: its numbers, where all four stand there between brackets, else all up to `inner`.

    Where words follow such numbers, only the marker was forgotten; where nothing does, the chain was cut off.
    """
    whole = _BARE.match(plain, inner.start)
    stop = whole.end() if whole else inner.stop
    text = plain[inner.start : stop]
    cut = inner.stop == len(plain) and re.match(r"\s*[^\s<]", plain[stop:]) is None
    end = inner.stop if cut else stop
    return _Token(_Kind.BOX, match.start(), end, text, marked=True, cut=cut, of_paper=match.group() == BOX_START)


class _Order(Enum):
    """Where the boxes of a chain stand."""

    BEHIND = "behind their names"
    BEFORE = "before their names"
    OPEN = "not clear"


def _order(body: str, tokens: Sequence[_Token]) -> _Order:
    """Whether the boxes of a chain stand behind their names or before them.

    They stand before them where every box begins its line, or follows on another one's name, and has a name right
    behind it. Where only some do, or the first box has no name before it, nothing tells whose the boxes are.
    """
    boxes = [place for place, token in enumerate(tokens) if token.kind is _Kind.BOX]
    before = tokens[boxes[0] - 1] if boxes and boxes[0] else None
    if not boxes or (before is not None and before.kind is _Kind.NAME):
        return _Order.BEHIND
    begun = body[before.end if before else 0 : tokens[boxes[0]].start]
    named = bool(noun_before(begun))
    behind = [_behind(body, tokens, place) for place in boxes]
    marked = all(one.kind is _Kind.NAME for place in boxes for one in tokens[place + 1 : place + 2])
    if all(one.name and one.ends for one in behind):
        opens_line = is_lead(begun[begun.rfind("\n") + 1 :])
        if not named and (len(boxes) > 1 or behind[0].linked or marked):
            return _Order.BEFORE
        if len(boxes) > 1 and (opens_line or (marked and all(one.apart for one in behind[:-1]))):
            return _Order.BEFORE
        if len(boxes) > 1 and marked:
            return _Order.OPEN
    if named:
        return _Order.OPEN if _is_mixed(begun, behind) else _Order.BEHIND
    return _Order.OPEN


def _is_mixed(begun: str, behind: Sequence[_Behind]) -> bool:
    """Whether a box of its own line is led to the name behind it, although the first one has a name before it."""
    if not is_lead(begun[begun.rfind("\n") + 1 :]):
        return False
    ended = (True, *(one.ends for one in behind))
    return len(behind) > 1 and any(
        one.linked and one.ends and begins for one, begins in zip(behind, ended, strict=False)
    )


@dataclass(frozen=True, slots=True)
class _Behind:
    """What follows a box.

    Attributes:
        name: the name right behind it, on its line; empty where there is none.
        end: where that name ends.
        linked: a mark such as a colon leads from the box to the name.
        ends: nothing but marks and small words stands between that name and the next box.
        apart: something more than a blank does.
    """

    name: str = ""
    end: int = 0
    linked: bool = False
    ends: bool = False
    apart: bool = False


def _behind(body: str, tokens: Sequence[_Token], place: int) -> _Behind:
    box = tokens[place]
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    if after is not None and after.kind is _Kind.NAME:
        if not _TIGHT.fullmatch(body, box.end, after.start):
            return _Behind()
        following = tokens[place + 2] if place + 2 < len(tokens) else None
        if following is not None and following.kind is not _Kind.BOX:
            return _Behind()
        rest = body[after.end : following.start] if following else ""
        return _Behind(after.text, after.end, ends=is_lead(rest), apart=bool(rest.strip()))
    if after is not None and after.kind is not _Kind.BOX:
        return _Behind()
    stretch = body[box.end : after.start if after else len(body)]
    line, newline, rest = stretch.partition("\n")
    found = noun_behind(line, alone=bool(newline) or after is None)
    if not found.noun:
        return _Behind()
    ends = found.ends and (after is None or is_lead(rest))
    return _Behind(found.noun, box.end + found.end, linked=found.linked, ends=ends)


@dataclass(slots=True)
class _Open:
    """A name that waits for its box, or that just received one (`boxed`)."""

    name: str
    start: int
    end: int
    boxed: bool = False
    cut: bool = False


class _Pairing:
    """Gives the names of a chain their boxes, token by token.

    Attributes:
        objects: what was found, in order.
        defects: faults of no object in particular.
        removed: what the prose leaves out, and the words in its place.
    """

    def __init__(self, body: str, tokens: Sequence[_Token], order: _Order) -> None:
        self.objects: list[WrittenObject] = []
        self.defects: list[Defect] = []
        self.removed: list[tuple[int, int, str]] = []
        self._body = body
        self._tokens = tokens
        self._order = order
        self._waiting: _Open | None = None
        self._taken: int | None = None

    def run(self) -> None:
        """Pair all tokens."""
        for place, token in enumerate(self._tokens):
            if token.kind is _Kind.STRAY:
                self.defects.append(Defect.CUT_OFF if token.cut else Defect.STRAY_TOKEN)
            elif token.kind is _Kind.NAME:
                self._add_name(place, token)
            elif token.kind is _Kind.PLAN:
                self._add_plan(token)
            else:
                self._add_box(place, token)
        self._close()

    def _close(self) -> None:
        """Enter the waiting name without a box, if it has none."""
        name, self._waiting = self._waiting, None
        if name is not None and not name.boxed:
            fault = Defect.CUT_OFF if name.cut else Defect.MISSING_BOX
            self.objects.append(WrittenObject(name.name, WrittenBox((), (fault,)), (name.start, name.end)))

    def _add_name(self, place: int, token: _Token) -> None:
        self._close()
        if place != self._taken:
            self._waiting = _Open(token.text, token.start, token.end, cut=token.cut)

    def _add_plan(self, token: _Token) -> None:
        self._close()
        assert token.plan is not None
        objects, defects = objects_of(token.plan, self._body, self.objects)
        self.objects += objects
        self.defects += defects
        self.removed.append((token.start, token.end, ", ".join(one.name for one in objects)))

    def _add_box(self, place: int, token: _Token) -> None:
        self.removed.append((token.start, token.end, ""))
        owner = self._owner(place, token)
        if owner is None:
            self.defects.append(Defect.UNNAMED_BOX)
            return
        if owner is not self._waiting:
            self._close()
        span = (min(owner.start, token.start), max(token.end, owner.end))
        self.objects.append(WrittenObject(owner.name, _read_box(token), span))
        self._waiting = _Open(owner.name, owner.start, token.end, boxed=True)

    def _owner(self, place: int, token: _Token) -> _Open | None:
        """The name that a box belongs to."""
        if self._order is _Order.BEFORE:
            behind = _behind(self._body, self._tokens, place)
            if self._tokens[place + 1 : place + 2] and self._tokens[place + 1].kind is _Kind.NAME:
                self._taken = place + 1
            return _Open(behind.name, token.start, behind.end)
        if self._order is _Order.OPEN and not self._has_tight_name(place, token):
            return None
        start = self._tokens[place - 1].end if place else 0
        return self._name_before(token, start)

    def _has_tight_name(self, place: int, token: _Token) -> bool:
        """Whether a marked name stands right before the box, and not right behind another box."""
        name = self._tokens[place - 1] if place else None
        if name is None or name.kind is not _Kind.NAME or not _TIGHT.fullmatch(self._body, name.end, token.start):
            return False
        other = self._tokens[place - 2] if place > 1 else None
        return other is None or _TIGHT.fullmatch(self._body, other.end, name.start) is None

    def _name_before(self, token: _Token, start: int) -> _Open | None:
        """The waiting name, the noun just before the box, or the last name, which has one more box.

        A marked box belongs to a waiting name whatever stands between. A bare one does unless a new noun phrase was
        begun in between ("... A dog (10,20),(30,40)").
        """
        name, prose = self._waiting, self._body[start : token.start]
        if name is not None and not name.boxed and (token.marked or not begins_noun(prose)):
            return name
        if name is not None and name.boxed and _GLUE.fullmatch(prose):
            return name
        words = noun_before(prose)
        if not words:
            return None
        where = self._body.rfind(words, start, token.start)
        return _Open(words, where if where >= 0 else token.start, token.start)


def _read_box(token: _Token) -> WrittenBox:
    """The numbers of a box.

    Whatever else stands in it may be part of a number, as in "10%", so that it has none; and the last number of a box
    that was cut off may go on, unless a bracket closes it.
    """
    text = token.text.strip()
    numbers = written_numbers(text)
    if numbers is not None and len(numbers) > 4:
        return WrittenBox((), (Defect.EXTRA_NUMBER,))
    if token.cut and not (numbers and len(numbers) == 4 and text.endswith((")", "]"))):
        return WrittenBox((), (Defect.CUT_OFF,))
    if numbers is None:
        return WrittenBox((), (Defect.UNREADABLE_NUMBER,))
    if len(numbers) < 4 or not is_divided(text):
        return WrittenBox((), (Defect.MISSING_NUMBER,))
    faults = (Defect.CUT_OFF,) if token.cut else ()
    on_grid = token.marked and token.of_paper
    return WrittenBox(tuple(numbers), faults, "." in text, token.of_paper, on_grid)


def _prose(body: str, removed: Iterable[tuple[int, int, str]]) -> str:
    """The body with the removed spans replaced by the words beside them, without markers, spaces set right."""
    kept = "".join(_complement(body, removed))
    kept = " ".join(ANY_MARKER.sub(" ", kept).split())
    return re.sub(r"\s+([.,;:!?])", r"\1", kept)


def _complement(body: str, removed: Iterable[tuple[int, int, str]]) -> Iterator[str]:
    position = 0
    for start, end, words in removed:
        yield body[position:start]
        yield words
        position = end
    yield body[position:]
