"""Names of objects: which words count, and when a name that was said is the object that was asked for."""

from __future__ import annotations

import pytest

from gotr1_eval.core.names import Match, match_names, name_words, says_nothing, spelling, take_apart


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("men", "man"),
        ("policewomen", "policewoman"),
        ("people", "person"),
        ("children", "child"),
        ("geese", "goose"),
        ("mice", "mouse"),
        ("knives", "knife"),
        ("buses", "bus"),
        ("tomatoes", "tomato"),
        ("shoes", "shoe"),
        ("cookies", "cookie"),
        ("berries", "berry"),
        ("boxes", "box"),
        ("houses", "house"),
        ("ties", "tie"),
        ("the dog's bowls", "dog bowl"),
        ("Teddy-Bears", "teddy bear"),
        ("traffic_lights", "Traffic Light"),
        ("CAFÉS", "café"),
    ],
)
def test_number_case_and_joints_are_folded(many: str, one: str):
    assert name_words(many) == name_words(one)
    assert match_names(one, many) is Match.SAME_WORDS


@pytest.mark.parametrize("word", ["specimen", "glass", "bus", "tennis", "lens", "canvas"])
def test_singulars_stay(word: str):
    assert name_words(word) == (word,)


@pytest.mark.parametrize(
    ("name", "noun", "attributes"),
    [
        ("two big brown dogs", "dog", {"big", "brown"}),
        ("a person in a blue jacket", "person", set()),
        ("man wearing a red hat", "man", set()),
        ("a photo of a cat", "cat", set()),
        ("a pair of shoes", "shoe", set()),
        ("the left dog", "dog", {"left"}),
        ("dog #2", "dog", set()),
        ("person A", "person", set()),
        ("dog (the brown one)", "dog", set()),
        ("traffic light", "traffic light", set()),
        ("red traffic light", "traffic light", {"red"}),
        ("big hot dog", "hot dog", {"big"}),
        ("sleeping cat", "cat", {"sleeping"}),
        ("an orange", "orange", set()),
        ("number 7", "number 7", set()),
        ("bouquet of red tulips", "bouquet", set()),
        ("", "", set()),
    ],
)
def test_a_name_is_taken_apart(name: str, noun: str, attributes: set[str]):
    apart = take_apart(name)
    assert (" ".join(apart.noun), set(apart.attributes)) == (noun, attributes)


@pytest.mark.parametrize(
    ("asked", "said", "match"),
    [
        ("dog", "The DOG", Match.SAME_WORDS),
        ("sunflower", "sun flower", Match.SAME_WORDS),
        ("dog", "brown dog", Match.SAME_OBJECT),
        ("brown dog", "dog", Match.SAME_OBJECT),
        ("dog", "dog 2", Match.SAME_OBJECT),
        ("person in a blue jacket", "person", Match.SAME_OBJECT),
        ("dog", "cat", Match.OTHER),
        ("dog", "puppy", Match.OTHER),
        ("dog", "dog bowl", Match.OTHER),
        ("brown dog", "white dog", Match.OTHER),
        ("left dog", "right dog", Match.OTHER),
        ("number 7", "number 8", Match.OTHER),
        ("light", "traffic light", Match.UNSURE),
        ("dog", "hot dog", Match.UNSURE),
        ("dining table", "table", Match.UNSURE),
        ("dog", "dog and cat", Match.UNSURE),
        ("dog", "cat/dog", Match.UNSURE),
        ("dog", "狗", Match.UNSURE),
        ("brown dog", "small dog", Match.UNSURE),
        ("狗", "狗", Match.SAME_WORDS),
        ("salt and pepper", "salt and pepper", Match.SAME_WORDS),
    ],
)
def test_whether_a_name_is_the_object_asked_for(asked: str, said: str, match: Match):
    assert match_names(asked, said) is match


@pytest.mark.parametrize(("label", "nothing"), [("", True), ("object", True), ("#1", True), ("dog", False)])
def test_labels_that_name_nothing(label: str, nothing: bool):
    assert says_nothing(label) is nothing


def test_one_spelling():
    assert spelling("The  Brown dog") == spelling("brown Dog") == "brown dog"
    assert spelling("a") == "a"
    assert spelling("dogs") != spelling("dog")
