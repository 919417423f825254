"""Which two objects, and which relation word, a spatial prompt states, read from the parse of the prompt.

The official scripts know two ways: the simple one of the spatial lists (first and last noun), and the one of the
complex list (the nouns next to a preposition).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.geometry import Relation
from gotr1_eval.core.perception import Token
from gotr1_eval.core.relations import holds_doubt, parse_relations

WORDS_2D = (
    "on side of",
    "next to",
    "near",
    "on the left of",
    "on the right of",
    "on the bottom of",
    "on the top of",
    "on top of",
)
"""In the order in which the official script looks for them."""
WORDS_3D = ("in front of", "behind", "hidden")
CORRECTED_WORDS = {
    Relation.LEFT_OF: "on the left of",
    Relation.RIGHT_OF: "on the right of",
    Relation.ABOVE: "on the top of",
    Relation.BELOW: "on the bottom of",
    Relation.NEAR: "near",
}
"""`corrected`: a relation however it is put -> its word."""
PREPOSITIONS = ("on top of", "on bottom of", "on the left", "on the right", "next to", "on side of", "near")
"""Of complex prompts, matched token by token."""


def find_word(prompt: str, words: Sequence[str]) -> str | None:
    """The first of the words that the prompt holds anywhere, also inside another word; None for none."""
    return next((word for word in words if word in prompt), None)


Stated = tuple[str, tuple[str, str]]
"""A relation word, and the two objects in the order in which it takes them."""


def stated_2d(prompt: str, tokens: Sequence[Token]) -> Stated | None:
    """`corrected`: the relation that a prompt states and the nouns on its two sides; None where that cannot be read
    with certainty, or there are several.

    "To the left of a dog sits a cat" and "a cat left of a dog" state the same; a negation states nothing.
    """
    relations = parse_relations(prompt)
    nouns = [token.text for token in tokens if token.pos == "NOUN"]
    stated: set[Stated] = set()
    for claim in relations.claims:
        subjects, others = ([noun for noun in nouns if _names(side, noun)] for side in (claim.subject, claim.other))
        if not (subjects and others):
            return None
        stated.add((CORRECTED_WORDS[claim.relation], (subjects[0], others[-1])))
    return stated.pop() if len(stated) == 1 and not relations.unread else None


def _names(text: str, noun: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(noun)}(?!\w)", text) is not None


def stated_3d(prompt: str, tokens: Sequence[Token]) -> Stated | None:
    """`corrected`: the depth relation between the first and the last noun, where it stands between them and nothing
    puts it in doubt; else what `stated_2d` reads."""
    word = find_word(prompt, WORDS_3D)
    if word is None:
        return stated_2d(prompt, tokens)
    objects = first_and_last_noun(tokens)
    before, _, after = prompt.partition(word)
    certain = _names(before, objects[0]) and _names(after, objects[1]) and not holds_doubt(prompt)
    return (word, objects) if certain else None


def first_and_last_noun(tokens: Sequence[Token]) -> tuple[str, str]:
    """The two objects of a simple prompt.

    Raises:
        UndefinedScoreError: no noun.
    """
    nouns = [token.text for token in tokens if token.pos == "NOUN"]
    if not nouns:
        raise UndefinedScoreError("the parse holds no noun", "IndexError")
    return nouns[0], nouns[-1]


def objects_beside_prepositions(tokens: Sequence[Token], semantics: Semantics = "reference") -> tuple[str, str] | None:
    """The two objects of a complex prompt; None unless exactly two are collected over all its prepositions.

    Under `corrected` a proper noun that ends the prompt is an object as well, which the script overlooks.
    """
    objects: list[str] = []
    for start in range(len(tokens)):
        # The longest wins. At the prompt's end a slice of three words holds only two, and both are "next to".
        for length in (3, 2, 1):
            if " ".join(token.text for token in tokens[start : start + length]) in PREPOSITIONS:
                objects += _beside(tokens, start, start + length, semantics)
                break
    return (objects[0], objects[1]) if len(objects) == 2 else None


def _beside(tokens: Sequence[Token], start: int, end: int, semantics: Semantics) -> list[str]:
    """The nearest noun before a preposition, and the one after it."""
    left = next((token.text for token in reversed(tokens[:start]) if token.pos in ("NOUN", "PROPN")), None)
    right = _noun_after(tokens[end:], semantics)
    return [name for name in (left, right) if name is not None]


def _noun_after(tokens: Sequence[Token], semantics: Semantics) -> str | None:
    """The first common noun, else the last of the first run of proper nouns.

    The script looks for a proper noun that another kind of word follows: a run that ends the prompt has none.
    """
    if (noun := next((token.text for token in tokens if token.pos == "NOUN"), None)) is not None:
        return noun
    end = (Token("", ""),) if semantics == "corrected" else ()
    pairs = pairwise((*tokens, *end))
    return next((one.text for one, after in pairs if one.pos == "PROPN" != after.pos), None)
