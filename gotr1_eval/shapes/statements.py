"""Prompts of the shapes world: a statement about a scene, written as a sentence and read back.

two red circles and a striped blue square
a red circle on the left of a blue square and a green cross
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gotr1_eval.core.geometry import Relation
from gotr1_eval.shapes.scene import Kind, read_kind

COUNT_WORDS = ("a", "two", "three", "four", "five", "six")
"""The word for n objects stands at n - 1."""

RELATION_PHRASES: dict[Relation, str] = {
    Relation.LEFT_OF: "on the left of",
    Relation.RIGHT_OF: "on the right of",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
}


@dataclass(frozen=True, slots=True)
class Stated:
    """So many objects of a kind."""

    kind: Kind
    count: int = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """What a prompt says: groups of objects, and perhaps a relation between the first two."""

    groups: tuple[Stated, ...]
    relation: Relation | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """One entry an object: a group of three counts thrice."""
        return tuple(group.kind for group in self.groups for _ in range(group.count))


def write_prompt(statement: Statement) -> str:
    """The statement as a prompt; `read_prompt` gives it back."""
    written = [_write_group(group) for group in statement.groups]
    if statement.relation is not None:
        written = [f"{written[0]} {RELATION_PHRASES[statement.relation]} {written[1]}", *written[2:]]
    if len(written) <= 2:
        return " and ".join(written)
    return f"{', '.join(written[:-1])} and {written[-1]}"


def _write_group(group: Stated) -> str:
    name = group.kind.name
    if group.count == 1:
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    return f"{COUNT_WORDS[group.count - 1]} {plural}"


_RELATION = re.compile("|".join(rf" (?P<{key.name}>{phrase}) " for key, phrase in RELATION_PHRASES.items()))
_GROUP = re.compile(rf"(an|{'|'.join(COUNT_WORDS)}) (.+)")


def read_prompt(prompt: str) -> Statement | None:
    """What the prompt states, or None when it is not a sentence of this world."""
    text = " ".join(prompt.lower().rstrip(". ").split())
    match = _RELATION.search(text)
    relation = Relation[match.lastgroup or ""] if match else None
    if match:
        text = f"{text[: match.start()]}, {text[match.end() :]}"
    groups = [_read_group(piece) for piece in re.split(r", | and ", text)]
    if any(group is None for group in groups) or (relation is not None and len(groups) < 2):
        return None
    return Statement(tuple(group for group in groups if group is not None), relation)


def _read_group(text: str) -> Stated | None:
    match = _GROUP.fullmatch(text)
    kind = read_kind(match[2]) if match else None
    if match is None or kind is None:
        return None
    return Stated(kind, COUNT_WORDS.index(match[1]) + 1 if match[1] != "an" else 1)
