"""Questions about the structures of an answer that the readers of scores and of boxes share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gotr1_eval.core.reading.literals import State, Structure
from gotr1_eval.core.reading.reply import UnreadableReply

_EXAMPLE = re.compile(
    r"(?:for example|e\.\s?g\.|for instance|\bexample(?: (?:answer|output|response))?"
    r"|\b(?:not|never|instead of|rather than))[ :,]*\s*(?:```\w*\s*)?\Z",
    re.I,
)
_REVISION = re.compile(
    r"\b(?:wait|actually|correction|on second thought|reconsider\w*|instead|revis\w+|i meant|should (?:rather )?be"
    r"|(?:lower|raise|change) (?:it|this|that|my))\b[^\n]{0,80}?[0-9]",
    re.I,
)
_FENCES = re.compile(r"[\s`]*(?:json)?[\s`]*", re.I)


def name_of(key: str) -> str:
    """A key as it is compared: lower case, words joined by an underscore, quotes and markup off."""
    return "_".join(re.findall(r"[^\s_\-\"'“”‘’`*:]+", key[:200].casefold()))


def is_cut(structures: Sequence[Structure]) -> bool:
    """The text ended inside the last of the structures."""
    return bool(structures) and structures[-1].state is State.CUT


def is_example(answer: str, structure: Structure) -> bool:
    """The words before the structure announce an example or deny it, so that it is not the answer."""
    return _EXAMPLE.search(answer[max(0, structure.start - 60) : structure.start]) is not None


def blanked(answer: str, structures: Sequence[Structure]) -> str:
    """The answer with every structure overwritten, so that positions stay and nothing in them counts as prose.

    TeX's ``\\boxed{8}`` only looks like one and is left.
    """
    pieces, position = [], 0
    for structure in structures:
        if answer.endswith("\\boxed", 0, structure.start):
            continue
        pieces += [answer[position : structure.start], "\0" * (structure.end - structure.start)]
        position = structure.end
    return "".join(pieces) + answer[position:]


def refuse_revision(answer: str, end: int) -> None:
    """Refuse an answer that takes its declaration back afterwards ("Actually, it should be 6").

    Raises:
        UnreadableReply: what follows the position speaks of another value.
    """
    if _REVISION.search(answer, end):
        raise UnreadableReply("The answer revises its value after declaring it.")
