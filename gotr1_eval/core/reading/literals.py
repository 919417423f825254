"""Finding JSON objects, lists and Python literals in free text, without ever failing.

One pass over the text, no recursion, no evaluation. Beyond JSON it takes single quotes, bare words as keys and values,
tuples inside lists, trailing commas, a comma missing at a line's end, comments, unescaped quotes inside a string
(a quote ends a string only before a comma, a colon, a closing bracket or the end), and an opening brace written twice.
What is left open or goes wrong keeps what was complete before that place, and says so in `Structure.state`.
Leaves stay text: what counts as a number is for the readers to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

MAX_DEPTH = 64
"""Brackets nested deeper are no answer."""

_OPENING = re.compile(r"[\[{]")
_SPACE = re.compile(r"(?:\s++|(?<=[\s,])(?://|#)[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)*+")
_STRING_END = r"(?=\s*+(?:[,:}\])]|\Z)|[ \t]*+\r?\n\s*+[\"'}\]])"
_STRINGS = {
    quote: re.compile(rf"{quote}((?:[^{quote}\\]++|\\.|{quote}(?!{_STRING_END}))*+){quote}", re.S) for quote in "\"'"
}
_BARE = re.compile(r"[^,{}\[\]\"\n]++")
_BARE_IN_TUPLE = re.compile(r"[^,{}\[\]()\"\n]++")
_BARE_KEY = re.compile(r"[^,:{}\[\]()\"\n]++")
_COMMENT = re.compile(r"\s(?://|#).*|\s*/\*[^*]*\*/\s*\Z", re.S)
_ESCAPE = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\(.)", re.S)
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class State(Enum):
    """How a structure ended."""

    WHOLE = "whole"
    BROKEN = "broken"
    """Something that is no literal stood in it."""
    CUT = "cut"
    """The text ended before its last bracket was closed."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A string (quoted, escapes resolved) or anything else between delimiters (stripped)."""

    text: str
    quoted: bool = False


@dataclass(slots=True)
class Items:
    """A list or tuple; `closed` says whether its closing bracket was seen."""

    values: list[Value] = field(default_factory=list)
    closed: bool = False


@dataclass(slots=True)
class Pairs:
    """An object's pairs in order, repeated keys included."""

    pairs: list[tuple[str, Value]] = field(default_factory=list)
    closed: bool = False


Value = Leaf | Items | Pairs


@dataclass(frozen=True, slots=True)
class Structure:
    """An outermost bracket found in a text, at [start, end)."""

    value: Items | Pairs
    start: int
    end: int
    state: State


def find_structures(text: str, *, ended: bool = False) -> list[Structure]:
    """Every outermost object and list of a text, in order. Linear in the text's length; never raises.

    Args:
        text: anything.
        ended: the model ended the text of its own accord. Otherwise a bare value at the very end of an open bracket is
            left out, for its last digits may be missing.
    """
    found: list[Structure] = []
    position = 0
    while opening := _OPENING.search(text, position):
        found.append(_Parser(text, opening.start(), ended=ended).parse())
        position = found[-1].end
    return found


@dataclass(slots=True)
class _Frame:
    """An open bracket: its kind, what it holds so far, and in an object the key that waits for its value."""

    opening: str
    holder: Items | Pairs
    key: str | None = None
    after_value: bool = False
    firm: bool = True

    def add(self, value: Value, *, firm: bool) -> None:
        if isinstance(self.holder, Items):
            self.holder.values.append(value)
        elif self.key is not None:
            self.holder.pairs.append((self.key, value))
        self.key, self.after_value, self.firm = None, True, firm

    def drop_uncertain(self) -> None:
        """Forget a bare last value that no delimiter ended: `8 (or 9)` is not 8."""
        if self.after_value and not self.firm:
            (self.holder.values if isinstance(self.holder, Items) else self.holder.pairs).pop()

    def take_back(self, words: str) -> None:
        """What seemed a key is none, so the bare value before the comma goes on: `8,5` is not 8."""
        if isinstance(self.holder, Pairs) and self.holder.pairs:
            key, value = self.holder.pairs.pop()
            self.holder.pairs.append((key, Leaf(f"{value.text},{words}") if isinstance(value, Leaf) else value))


class _Parser:
    """Reads one outermost bracket."""

    def __init__(self, text: str, start: int, *, ended: bool) -> None:
        self._text, self._start, self._ended = text, start, ended
        self._position = start
        self._frames: list[_Frame] = []

    def parse(self) -> Structure:
        """The structure that begins at the start."""
        self._open()
        root = self._frames[0].holder
        while self._frames:
            space = _SPACE.match(self._text, self._position)
            if space is not None and space.end() > self._position:
                self._frames[-1].firm |= "\n" in space.group()
                self._position = space.end()
            if self._position >= len(self._text):
                return self._give_up(State.CUT)
            if not self._step(self._text[self._position]):
                return self._give_up(State.CUT if self._position >= len(self._text) else State.BROKEN)
            if self._frames and self._frames[0].holder is not root:
                root = self._frames[0].holder
        return Structure(root, self._start, self._position, State.WHOLE)

    def _step(self, character: str) -> bool:
        """Take the next token; False when it does not belong here."""
        frame = self._frames[-1]
        if character == ",":
            allowed, frame.after_value = frame.after_value, False
            self._position += 1
            return allowed
        if character == _CLOSING[frame.opening]:
            return self._close(frame)
        if frame.after_value and not self._comma_is_missing(frame, character):
            return False
        frame.after_value = False
        if isinstance(frame.holder, Pairs) and frame.key is None:
            return self._key(frame, character)
        if character in "[{(":
            return len(self._frames) < MAX_DEPTH and self._open()
        return self._leaf(frame, character)

    @staticmethod
    def _comma_is_missing(frame: _Frame, character: str) -> bool:
        """A new key on a new line after a value: only the comma was forgotten."""
        return isinstance(frame.holder, Pairs) and frame.firm and character in "\"'"

    def _open(self) -> bool:
        opening = self._text[self._position]
        self._frames.append(_Frame(opening, Pairs() if opening == "{" else Items()))
        self._position += 1
        return True

    def _close(self, frame: _Frame) -> bool:
        if frame.key is not None:
            return False
        self._position += 1
        frame.holder.closed = True
        self._frames.pop()
        if self._frames:
            self._frames[-1].add(frame.holder, firm=True)
        return True

    def _key(self, frame: _Frame, character: str) -> bool:
        if character == "{" and isinstance(frame.holder, Pairs) and not frame.holder.pairs:
            self._frames.pop()
            return self._open()
        key = self._quoted(character) if character in _STRINGS else self._bare(_BARE_KEY)
        if key is None:
            return False
        space = _SPACE.match(self._text, self._position)
        self._position = space.end() if space else self._position
        if not self._text.startswith(":", self._position):
            frame.take_back(key)
            return False
        self._position += 1
        frame.key = key
        return True

    def _leaf(self, frame: _Frame, character: str) -> bool:
        if character in _STRINGS:
            text = self._quoted(character)
            if text is None:
                return False
            frame.add(Leaf(text, quoted=True), firm=True)
            return True
        text = self._bare(_BARE_IN_TUPLE if frame.opening == "(" else _BARE)
        if text is None:
            return False
        if self._position < len(self._text) or self._ended:
            frame.add(Leaf(_COMMENT.sub("", text)), firm=self._position == len(self._text))
        return True

    def _quoted(self, quote: str) -> str | None:
        """The string that begins here; None, and the position at the end, when it never ends."""
        match = _STRINGS[quote].match(self._text, self._position)
        self._position = match.end() if match else len(self._text)
        return _ESCAPE.sub(_unescape, match[1]) if match else None

    def _bare(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end()
        return match.group().strip()

    def _give_up(self, state: State) -> Structure:
        """Close what is open, keeping what was complete."""
        if state is State.BROKEN:
            self._frames[-1].drop_uncertain()
        while len(self._frames) > 1:
            inner = self._frames.pop()
            if isinstance(self._frames[-1].holder, Items) or self._frames[-1].key is not None:
                self._frames[-1].add(inner.holder, firm=True)
        end = max(self._position, self._start + 1)
        return Structure(self._frames[0].holder, self._start, end, state)


def _unescape(match: re.Match[str]) -> str:
    codes, letter = match[1], match[2]
    if codes is None:
        return _PLAIN_ESCAPES.get(letter, letter)
    # By way of UTF-16, so that pairs become one character and half a pair, which no file takes, a replacement.
    return bytes.fromhex(codes.replace("\\u", "")).decode("utf-16-be", errors="replace")
