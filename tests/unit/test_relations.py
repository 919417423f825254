"""Reading relations out of prompts and finding their objects among names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gotr1_eval.core.geometry import Relation
from gotr1_eval.core.relations import find_named, name_words, read_relations


@pytest.mark.parametrize(
    ("prompt", "subject", "relation", "other"),
    [
        ("a horse on the right of a car", "a horse", Relation.RIGHT_OF, "a car"),
        ("a toilet to the left of a dog", "a toilet", Relation.LEFT_OF, "a dog"),
        ("a photo of a bench left of a bear", "a photo of a bench", Relation.LEFT_OF, "a bear"),
        ("A girl on the top of a frog", "A girl", Relation.ABOVE, "a frog"),
        ("a tv on top of a chair", "a tv", Relation.ABOVE, "a chair"),
        ("a cell phone above an apple", "a cell phone", Relation.ABOVE, "an apple"),
        ("a book below a train.", "a book", Relation.BELOW, "a train"),
        ("a zebra underneath a broccoli", "a zebra", Relation.BELOW, "a broccoli"),
        ("a bird on the bottom of a balloon", "a bird", Relation.BELOW, "a balloon"),
        ("a giraffe next to a lamp", "a giraffe", Relation.NEAR, "a lamp"),
        ("a mouse on side of a key", "a mouse", Relation.NEAR, "a key"),
        ("a dog near a desk and a red hat", "a dog", Relation.NEAR, "a desk"),
        ("a cup and a spoon on the left-hand side of a plate", "a spoon", Relation.LEFT_OF, "a plate"),
        ("a chair with an umbrella on top of it", "an umbrella", Relation.ABOVE, "a chair with"),
    ],
)
def test_one_relation(prompt: str, subject: str, relation: Relation, other: str):
    (claim,) = read_relations(prompt)
    assert (claim.subject, claim.relation, claim.other) == (subject, relation, other)


@pytest.mark.parametrize(
    "prompt", ["", "a red bench and a green car", "a dog in front of a desk", "leftover pizza", "an undertaker"]
)
def test_no_relation(prompt: str):
    assert read_relations(prompt) == []


def test_two_relations():
    claims = read_relations("a cat on the left of a dog, and a bird above the dog")
    assert [(c.subject, c.relation, c.other) for c in claims] == [
        ("a cat", Relation.LEFT_OF, "a dog"),
        ("a bird", Relation.ABOVE, "the dog"),
    ]


@pytest.mark.parametrize(
    ("phrase", "names", "found"),
    [
        ("a red circle", ["red square", "red circle"], [1]),
        ("a cat", ["two cats", "dog"], [0]),
        ("a cat", ["cat", "dog", "cat"], [0, 2]),
        ("a sleeping black cat", ["cat", "dog"], [0]),
        ("a tulip bouquet", ["vibrant red tulip bouquet", "yellow vase"], [0]),
        ("a bouquet of red tulips", ["bouquet", "tulip"], [0]),
        ("a vase", ["bouquet of red tulips", "yellow vase", "teal vase"], [1, 2]),
        ("boxes", ["box"], [0]),
        ("a glass", ["glasses"], [0]),
        ("a dog", ["cat"], []),
        ("", ["cat"], []),
        ("the", ["the"], []),
    ],
)
def test_finding_names(phrase: str, names: list[str], found: list[int]):
    assert find_named(phrase, names) == found


def test_name_words_are_singular_and_bare():
    assert name_words("Two Red Berries") == ("red", "berry")
    assert name_words("a glass bus") == ("glass", "bus")


@given(st.text(max_size=80), st.lists(st.text(max_size=10), max_size=4))
def test_nothing_raises(text: str, names: list[str]):
    for claim in read_relations(text):
        find_named(claim.subject, names)
        find_named(claim.other, names)
