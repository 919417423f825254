"""Reading spatial relations out of a prompt, and finding the prompt's objects in a plan.

No parser and no model: relation phrases are looked up, and each side is matched against the names of the plan.
This suffices for the templated prompts of T2I-CompBench, GenEval and VISOR and for most captions; what it cannot
know (which of several nouns a preposition hangs on) is settled by the first mention on each side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gotr1_eval.core.geometry import Relation


@dataclass(frozen=True, slots=True)
class RelationClaim:
    """A relation that a prompt states.

    Attributes:
        subject: the text before the relation, from the last clause or the last relation on.
        other: the text after it, up to the next clause or relation.
        phrase: the relation's own words.
        rest: all text after the relation, where a distant object may be named.
    """

    subject: str
    relation: Relation
    other: str
    phrase: str
    rest: str


_PHRASES: tuple[tuple[Relation, str], ...] = (
    (Relation.LEFT_OF, r"(?:(?:to|on|at|in) the (?:far |upper |lower )?)?left(?:[- ]hand)?(?: side)? of"),
    (Relation.RIGHT_OF, r"(?:(?:to|on|at|in) the (?:far |upper |lower )?)?right(?:[- ]hand)?(?: side)? of"),
    (Relation.ABOVE, r"(?:on|at) (?:the )?top of|atop|above|over"),
    (Relation.BELOW, r"(?:on|at) (?:the )?bottom of|below|beneath|underneath|under"),
    (Relation.NEAR, r"next to|near(?: to)?|beside|adjacent to|close to|(?:on|by|at) (?:the )?side of"),
)
_RELATION = re.compile("|".join(rf"(?P<{relation.name}>\b(?:{words})\b)" for relation, words in _PHRASES), re.I)
_CLAUSE = re.compile(r"[.;!?\n]|,? (?:and|while|where|with) (?=(?:an?|the|one|two|three|four|five|six)\b)", re.I)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_IDLE_WORDS = frozenset(("a", "an", "the", "one", "two", "three", "four", "five", "six", "some", "of"))
_PRONOUN = re.compile(r"\s*(?:it|them|itself|themselves|each other)\b", re.I)


def read_relations(prompt: str) -> list[RelationClaim]:
    """Every spatial relation the prompt states, in order.

    Args:
        prompt: the text prompt, any length.

    Returns:
        The claims; empty when the prompt states no relation in the plane of the picture
        ("in front of" and "behind" are depth relations and are not read).
    """
    matches = list(_RELATION.finditer(prompt))
    claims = []
    for index, match in enumerate(matches):
        since = matches[index - 1].end() if index else 0
        until = matches[index + 1].start() if index + 1 < len(matches) else len(prompt)
        before, after = prompt[since : match.start()], prompt[match.end() : until]
        subject = _last_piece(before)
        if _PRONOUN.match(after):
            # "a chair with an umbrella on top of it": the pronoun is the first thing named, the subject the last.
            claims.append(_claim(match, subject=subject, other=before.removesuffix(subject), rest=before))
        else:
            claims.append(_claim(match, subject=subject, other=_first_piece(after), rest=prompt[match.end() :]))
    return claims


def _claim(match: re.Match[str], *, subject: str, other: str, rest: str) -> RelationClaim:
    relation = Relation[match.lastgroup or ""]
    return RelationClaim(subject.strip(), relation, other.strip(), match.group(), rest)


def _last_piece(text: str) -> str:
    return next((piece for piece in reversed(_CLAUSE.split(text)) if _WORD.search(piece)), text)


def _first_piece(text: str) -> str:
    return next((piece for piece in _CLAUSE.split(text) if _WORD.search(piece)), text)


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name that tell it from others: lower case, singular, without articles and counts."""
    words = (_singular(word) for word in _WORD.findall(name.lower()))
    return tuple(word for word in words if word not in _IDLE_WORDS)


def _singular(word: str) -> str:
    """The word without its plural ending; rough on purpose, since both sides are treated alike."""
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _head(name: str) -> str:
    """The noun a name is about: its last word, before any "of" or "with"."""
    words = name_words(re.split(r"\b(?:of|with|in|on)\b", name.lower(), maxsplit=1)[0])
    return words[-1] if words else ""


def find_named(phrase: str, names: Sequence[str]) -> list[int]:
    """Which names of a plan a phrase of the prompt means.

    Tried in order, the first that finds any name wins: the same words; a name whose words all stand in the
    phrase (the earliest mentioned); a name that contains the whole phrase; the same head noun.

    Args:
        phrase: a noun phrase of the prompt, possibly with words around it.
        names: the plan's object names.

    Returns:
        Indices into `names`; several when a name occurs several times; empty when none fits.
    """
    words = name_words(phrase)
    if not words:
        return []
    split = [name_words(name) for name in names]
    exact = [index for index, name in enumerate(split) if name == words]
    if exact:
        return exact
    mentioned = {index: _position(name, words) for index, name in enumerate(split) if name and set(name) <= set(words)}
    if mentioned:
        # The earliest mention; of names that start at the same word the longest ("cat" and "cat toy").
        first = min(mentioned, key=lambda index: (mentioned[index], -len(split[index])))
        return [index for index in mentioned if split[index] == split[first]]
    containing = [index for index, name in enumerate(split) if set(words) <= set(name)]
    if containing:
        return containing
    head = _head(phrase)
    return [index for index, name in enumerate(names) if head and _head(name) == head]


def _position(name: tuple[str, ...], words: tuple[str, ...]) -> int:
    """Where the name's head stands in the phrase."""
    return words.index(name[-1])
