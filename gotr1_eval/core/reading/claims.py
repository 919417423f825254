"""What an object says under the keys that were asked for: its claims, and the one number on which they agree."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from gotr1_eval.core.reading.context import blanked, name_of
from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, Structure, Value, find_structures
from gotr1_eval.core.reading.numbers import NUMBER_WORD, number_of, plain_number, read_number
from gotr1_eval.core.reading.reply import UnreadableReply, refuse_refusal

_EXPLANATIONS = {
    "reason",
    "reasons",
    "reasoning",
    "explanation",
    "rationale",
    "analysis",
    "comment",
    "comments",
    "thought",
    "thoughts",
}
_WRAPPERS = {
    "answer",
    "arguments",
    "assessment",
    "corrected",
    "evaluation",
    "final",
    "final_answer",
    "function",
    "input",
    "judgement",
    "judgment",
    "output",
    "parameters",
    "response",
    "result",
    "revised",
}
_TOGETHER = re.compile(
    r"(?:(?:sub|single|individual|detailed|final|all|my|category|criteri(?:a|on)|dimension|aspect|quality|component)_)?"
    r"(?:scores?|ratings?|marks?|grades?)|evaluations?|assessments?|judge?ments?|results?|criteria|dimensions?"
    r"|aspects?|metrics?|breakdown"
)
"""Names under which several scores may stand."""
_OF_OTHERS = re.compile(
    r"(?:\w+_)?(?:weight(?:s|ing)?|examples?|samples?|previous|prior|old|expected|target|ideal|initial|original|drafts?|baseline|reference"
    r"|templates?|format|schema)(?:_\w+)?"
)
"""Under such a name, and under that of a scale, nothing is claimed."""
REPLACED = {"final", "corrected", "revised", "updated", "adjusted", "amended"}
"""Keys that, with a number alone, hold what replaces the score."""
_TOP = {"max", "maximum", "maximal", "best", "highest", "top", "full", "perfect"}
_SCALE = {"scale", "range", "denominator", "likert", "outof"}
_OF_SCORES = {"score", "scores", "rating", "ratings", "mark", "marks", "point", "points", "grade", "value", "possible"}
_OF_SCORES |= {"total", "overall", "per", "criterion", "min", "minimum"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_JOINED = re.compile(r"(max|best|top|scale|range)(score|rating|value|mark|points)|(score|rating)(max|scale|range)")
_STATED = re.compile(rf"[0-9]+(?:\.[0-9]+)?|\b{NUMBER_WORD}\b|[五十百]", re.I)
_UNIT = re.compile(r"\s*(?:%|per ?cents?|percentages?|stars?|★|⭐)\s*", re.I)
_INNER = {"score", "value", "rating"}
_DIMENSIONS = {"dimension", "criterion", "aspect", "metric", "category", "name"}


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that stands under an asked key.

    Attributes:
        plain: the key stands in the outermost object, or under names that say nothing ("result").
        known: it stands at most under names that say that scores follow ("scores").
    """

    value: Value
    plain: bool
    known: bool = True


def claims_in(value: Value, names: Collection[str], *, plain: bool = True, known: bool = True) -> Iterator[Claim]:
    """Whatever stands under one of the names, at any depth but inside explanations, weights, examples and the like."""
    if isinstance(value, Items):
        for item in value.values:
            yield from claims_in(item, names, plain=plain, known=known)
    if not isinstance(value, Pairs):
        return
    fields = [(name_of(key), inner) for key, inner in value.pairs]
    if any(name in _DIMENSIONS and isinstance(inner, Leaf) and name_of(inner.text) in names for name, inner in fields):
        yield from (Claim(inner, plain, known) for name, inner in fields if name in _INNER)
        return
    for name, inner in fields:
        if name in names and not (name in _WRAPPERS and isinstance(inner, Pairs)) and not _is_flag(name, inner):
            yield Claim(inner, plain, known)
        elif name in _WRAPPERS and isinstance(inner, Leaf) and inner.text.lstrip().startswith("{"):
            for structure in find_structures(inner.text):
                yield from claims_in(structure.value, names, plain=plain, known=known)
        elif name not in _EXPLANATIONS and not is_of_others(name):
            says_nothing = name in _WRAPPERS
            scores = says_nothing or _TOGETHER.fullmatch(name) is not None
            yield from claims_in(inner, names, plain=plain and says_nothing, known=known and scores)


def is_of_others(name: str) -> bool:
    """Whether a key or heading tells that the numbers under it are weights, examples or a scale, and no scores."""
    return _OF_OTHERS.fullmatch(name) is not None or names_scale(name)


def _is_flag(name: str, value: Value) -> bool:
    """Whether a value under a word that replaces is no number: ``"final": true`` declares nothing."""
    return name in REPLACED and plain_number(value) is None


def innermost(claim: Claim) -> Iterator[Claim]:
    """The claim itself, or those of the object it holds (``{"value": 8}``)."""
    if isinstance(claim.value, Pairs):
        yield from (Claim(inner.value, claim.plain, claim.known) for inner in claims_in(claim.value, _INNER))
    else:
        yield claim


def agreed(claims: Iterable[Claim], *, low: float, high: float, alone: bool) -> float:
    """The one number on which all claims of an object agree; those in the answer's own object go before deeper ones.

    Args:
        alone: one score was asked for, so that it must stand in the answer's own object; several may also stand under
            a name that says that scores follow.

    Raises:
        UnreadableReply: they differ, one cannot be read, or none of them stands where it was asked for.
    """
    every = list(claims)
    plain = [claim for claim in every if claim.plain]
    if not plain and (alone or not all(claim.known for claim in every)):
        raise UnreadableReply("The score stands only under other names, not in the answer's own object.")
    counted = [inner for claim in plain or every for inner in innermost(claim)]
    values = {read_number(claim.value, low=low, high=high) for claim in counted}
    if not values:
        raise UnreadableReply(f"A single number from {low:g} to {high:g} was asked for, not an object.")
    if len(values) != 1:
        raise UnreadableReply(f"The answer gives several different scores: {sorted(values)[:5]}.")
    return values.pop()


def names_scale(key: str) -> bool:
    """Whether a key, or the heading of a column, is one of a scale: ``max_score``, ``bestRating``, ``out of``."""
    name = name_of(_CAMEL.sub("_", key[:200]))
    words = _JOINED.sub(r"\1\3 \2\4", name).replace("_", " ").replace("out of", "outof").split()
    ends = _SCALE & set(words) or (_TOP & set(words) and words not in (["best"], ["top"], ["full"], ["perfect"]))
    return words in (["unit"], ["units"]) or (bool(ends) and not set(words) - _TOP - _SCALE - _OF_SCORES)


def refuse_stated_scales(value: Value, *, high: float, alone: bool) -> None:
    """Refuse an object that says anywhere, outside explanations, that its scale is another (``"out_of": 100``).

    Args:
        alone: one score was asked for; beside several the key "total" holds their sum.

    Raises:
        UnreadableReply: it does.
    """
    if isinstance(value, Items):
        for item in value.values:
            refuse_stated_scales(item, high=high, alone=alone)
    if isinstance(value, Pairs):
        for key, inner in value.pairs:
            name = name_of(key)
            if names_scale(key) or (alone and name == "total"):
                refuse_scale_texts(texts_of(inner), high=high)
            elif name not in _EXPLANATIONS:
                refuse_stated_scales(inner, high=high, alone=alone)


def refuse_scale_texts(texts: Iterable[str], *, high: float) -> None:
    """Refuse texts that state another scale: the greatest of their numbers is its end.

    Raises:
        UnreadableReply: they do.
    """
    known = [text[:80] for text in texts]
    numbers = [number_of(number) for text in known for number in _STATED.findall(text)]
    if (numbers and max(numbers) != high) or any(map(_UNIT.fullmatch, known)):
        stated = f"at {max(numbers):g}" if numbers else "elsewhere"
        raise UnreadableReply(f"The scale asked for ends at {high:g}, the answer's {stated}.")


def refuse_declined(turn: str, structures: Iterable[Structure] = ()) -> None:
    """Refuse an answer that says, in prose, in an aside or in a text of its objects, that it is none.

    Args:
        turn: the answer with its asides.
        structures: further objects and lists of it, where they do not stand in the turn as they are.

    Raises:
        UnreadableReply: no picture was seen, or no answer is given.
    """
    own = find_structures(turn)
    refuse_refusal(blanked(turn, own))
    for structure in (*own, *structures):
        for text in texts_of(structure.value):
            refuse_refusal(text)


def texts_behind(value: Value, names: Collection[str]) -> list[str]:
    """The texts of a value that stand in the first field of one of the names, or behind it."""
    found: list[str] = []
    seen = False
    waiting: list[tuple[str, Value]] = [("", value)]
    while waiting:
        name, inner = waiting.pop()
        if isinstance(inner, Leaf):
            found += [inner.text] if seen or name in names else []
        elif isinstance(inner, Items):
            waiting += [("", one) for one in reversed(inner.values)]
        else:
            waiting += [(name_of(key), one) for key, one in reversed(inner.pairs)]
        seen = seen or name in names
    return found


def texts_of(value: Value, *, but: Collection[str] = ()) -> Iterator[str]:
    """Every leaf of a value, but those under some names."""
    if isinstance(value, Leaf):
        yield value.text
    elif isinstance(value, Items):
        yield from (text for item in value.values for text in texts_of(item, but=but))
    else:
        yield from (text for key, inner in value.pairs if name_of(key) not in but for text in texts_of(inner, but=but))
