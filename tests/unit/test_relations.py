"""Reading relations out of prompts and finding their objects among names."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gotr1_eval.core.geometry import Relation
from gotr1_eval.core.names import find_named, name_words
from gotr1_eval.core.relations import Relations, parse_relations, read_relations


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


@pytest.mark.parametrize(
    ("prompt", "subject", "relation", "other"),
    [
        # the relation before both objects
        ("to the left of the dog sits a cat", "a cat", Relation.LEFT_OF, "the dog"),
        ("to the left of a dog is a cat", "a cat", Relation.LEFT_OF, "a dog"),
        ("To the left of a dog, there is a cat", "a cat", Relation.LEFT_OF, "a dog"),
        ("under a lamp stands a table", "a table", Relation.BELOW, "a lamp"),
        ("left of the zebra, a giraffe", "a giraffe", Relation.LEFT_OF, "the zebra"),
        ("left of the dog a cat", "a cat", Relation.LEFT_OF, "the dog"),
        ("beneath a lamp, a table", "a table", Relation.BELOW, "a lamp"),
        ("In a park, to the left of a dog sits a cat", "a cat", Relation.LEFT_OF, "a dog"),
        ("a park where to the left of the dog sits a cat", "a cat", Relation.LEFT_OF, "the dog"),
        ("To the right of a car, you can see a tree", "a tree", Relation.RIGHT_OF, "a car"),
        # relative clauses
        ("a vase to the right of which stands a cup", "a cup", Relation.RIGHT_OF, "a vase"),
        ("a vase to the right of which a cup stands", "a cup stands", Relation.RIGHT_OF, "a vase"),
        ("a bed, above which hangs a lamp", "a lamp", Relation.ABOVE, "a bed"),
        ("a dog on whose left a cat sits", "a cat sits", Relation.LEFT_OF, "a dog"),
        # pronouns and owners
        ("a dog with a cat on its left", "a cat", Relation.LEFT_OF, "a dog with"),
        ("A dog, and to its right there is a cat", "a cat", Relation.RIGHT_OF, "A dog, and"),
        ("the dog has a cat on its left", "a cat", Relation.LEFT_OF, "the dog"),
        ("There is a chair. An umbrella is on top of it.", "An umbrella is", Relation.ABOVE, "There is a chair"),
        ("a dog on a bed with a pillow on top of it", "a pillow", Relation.ABOVE, "a bed with"),
        ("a cat to the dog's left", "a cat", Relation.LEFT_OF, "the dog"),
        ("to the dog's left sits a cat", "a cat", Relation.LEFT_OF, "the dog"),
        ("a cat and a dog next to each other", "a dog", Relation.NEAR, "a cat and"),
        # two sides of the picture
        ("a cat on the left and a dog on the right", "a cat", Relation.LEFT_OF, "a dog"),
        ("a cat is on the right while a dog is on the left", "a cat", Relation.RIGHT_OF, "a dog"),
        ("on the left a cat and on the right a dog", "a cat", Relation.LEFT_OF, "a dog"),
        ("a cat on the left side of the image, a dog on the right side", "a cat", Relation.LEFT_OF, "a dog"),
        ("a cat at the top and a dog at the bottom", "a cat", Relation.ABOVE, "a dog"),
        # blanks, adjectives, commas
        ("a cat  to the  left\nof   a dog", "a cat", Relation.LEFT_OF, "a dog"),
        (
            "a red and blue cat above a black and white dog",
            "a red and blue cat",
            Relation.ABOVE,
            "a black and white dog",
        ),
        ("In a park, a cat above a dog", "a cat", Relation.ABOVE, "a dog"),
        ("small, brown dog left of bird", "small, brown dog", Relation.LEFT_OF, "bird"),
        ("cat, dog left of bird", "dog", Relation.LEFT_OF, "bird"),
        ("no people, a cat left of a dog", "a cat", Relation.LEFT_OF, "a dog"),
        # what has "with" stands in no relation itself
        ("a picture with a cat left of a dog", "a cat", Relation.LEFT_OF, "a dog"),
        ("There is a kitchen with a cat left of a dog", "a cat", Relation.LEFT_OF, "a dog"),
        ("a picture with a cat on the left and a dog on the right", "a cat", Relation.LEFT_OF, "a dog"),
        # quoted names, a quoted prompt, other quotation marks and emphasis
        ('a "cat" left of a "dog"', 'a "cat"', Relation.LEFT_OF, 'a "dog"'),
        ('"a cat left of a dog"', "a cat", Relation.LEFT_OF, "a dog"),
        ('a 5" cat left of a 6" dog', 'a 5" cat', Relation.LEFT_OF, 'a 6" dog'),
        ("the dogs' bowl left of the cats' bowl", "the dogs' bowl", Relation.LEFT_OF, "the cats' bowl"),
        ('a sign with "Mind the gap. Do not run" left of a door', 'a sign with ""', Relation.LEFT_OF, "a door"),
        ("a cat ABOVE a dog", "a cat", Relation.ABOVE, "a dog"),
        ("A CAT LEFT OF A DOG", "A CAT", Relation.LEFT_OF, "A DOG"),
        ("Two things:\nAbove a dog, a cat", "a cat", Relation.ABOVE, "a dog"),
        # pictures and parts that are things
        ("a cat left of a picture of a dog", "a cat", Relation.LEFT_OF, "a picture of a dog"),
        ("a cat left of the picture frame", "a cat", Relation.LEFT_OF, "the picture frame"),
        ("a cat near the edge of a table", "a cat", Relation.NEAR, "the edge of a table"),
        ("a cat above the top shelf", "a cat", Relation.ABOVE, "the top shelf"),
    ],
)
def test_one_relation_in_other_words(prompt: str, subject: str, relation: Relation, other: str):
    (claim,) = read_relations(prompt)
    assert (claim.subject, claim.relation, claim.other) == (subject, relation, other)


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat that is not on the left of a dog",
        "a cat isn't left of a dog",
        "neither a cat nor a dog is above a horse",
        "a cat to the left of no dog",
        "a dog has no cat on its left",
        "a cat without a dog on its left",
        "Don't place a cat to the left of a dog",
        "It is not true that a cat is left of a dog",
        "a cat or a dog to the left of a horse",
        "Is the cat to the left of the dog?",
        "a cat, to the left of a dog, a bird",
        "a cat and to the left of a dog a bird",
        "a chair and a table with their lamp, and a book on top of it",
        "a girl near her",
        "a table with a lamp above",
        "a shelf and a lamp above and a rug",
        "The dog on the left of the cat is a poodle",
        # of two nouns that "with" joins either may be meant
        "a cat with a red collar left of a dog with a blue collar",
        "a man with a hat on the left of a woman",
        "a man, with a hat, left of a woman",
        "a man with a hat to the dog's left",
        "a vase with a flower to the right of which stands a cup",
        "a girl with an umbrella under a tree",
        # two directions at once
        "a cat to the upper left of a dog",
        "a cat to the bottom-right of a dog",
        "a cat top left of a dog",
        "a cat diagonally above a dog",
        # titles, and what may be a thing or a place
        "a book called Under the Dome on a desk",
        "a sign reading KEEP LEFT OF THE LINE",
        "a lamp above the picture",
        "a cat left of the center of the table",
    ],
)
def test_what_is_not_certain_is_named_and_not_claimed(prompt: str):
    relations = parse_relations(prompt)
    assert relations.claims == ()
    assert len(relations.unread) == 1


@pytest.mark.parametrize(
    "prompt",
    [
        "a man over 60 years old",
        "a man over sixty years old with a dog",
        "a bridge under construction",
        "a building over 100 meters tall",
        "a right of way sign",
        "what was left of a house",
        "a cat on the left arm of a sofa",
        "a cat on the left of the picture",
        "a cat next to nothing",
        "a cat between a dog and a horse",
        "it rains over and over",
        # places in the picture
        "a cat in the top left of the picture",
        "a cat in the bottom-left corner of the picture",
        "a cat in the upper left of the image and a dog in the lower right of the image",
        "a cat left of the center",
        "a cat left of the middle of the frame",
        "a cat near the center of the image",
        "a cat near the top and a dog near the bottom",
        "the left of the image shows a cat, the right shows a dog",
        # quotations
        'a book titled "Under the Dome" on a desk',
        'a sign reading "KEEP LEFT OF THE LINE"',
        "a poster with the words “Above the clouds” on a wall",
        "a sign that says 'cat above dog'",
        # of the two sides of the picture, "with" leaves open what is there
        "a man with a hat on the left and a woman with a bag on the right",
    ],
)
def test_words_that_only_look_like_a_relation(prompt: str):
    assert parse_relations(prompt) == Relations((), ())


def test_several_relations_of_one_sentence():
    def read(prompt: str) -> list[tuple[str, str, str]]:
        return [(c.subject, c.relation.value, c.other.removesuffix(" and")) for c in read_relations(prompt)]

    assert read("a cat on the left of a dog and above a horse") == [
        ("a cat", "left of", "a dog"),
        ("a cat", "above", "a horse"),
    ]
    assert read("a cat above and to the left of a dog") == [("a cat", "above", "a dog"), ("a cat", "left of", "a dog")]
    assert read("a vase near the left of a dog") == []
    assert read("a cat left of a dog above a horse") == [("a cat", "left of", "a dog")]


def test_time_and_memory_are_linear():
    tracemalloc.start()
    claims = read_relations("a cat on the left of a dog, " * 2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(claims) == 2000
    assert peak < 20_000_000
    for unit in (
        "to the ",
        "over it. ",
        "on the left and ",
        "the a ",
        " ",
        "(",
        '"',
        "“",
        "'",
        "a cat with ",
        "a cat with a dog left of ",
        '"over a" ',
    ):
        read_relations(unit * (20_000 // len(unit)))
