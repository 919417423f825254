"""Prompts with questions, composed of our own words: groups of objects, with attributes, counts and relations.

A prompt never has the form of a published benchmark's: it is a whole sentence ("The picture shows two red cups."), so
that training on these prompts trains on nobody's test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gotr1_eval.core.checklist import NUMBERS, Question

NOUNS = {
    name: plural or f"{name}s"
    for name, plural in {
        "apple": "", "ball": "", "basket": "", "bear": "", "bicycle": "", "bird": "", "boat": "", "book": "",
        "bottle": "", "bowl": "", "box": "boxes", "bucket": "", "bus": "buses", "candle": "", "car": "", "cat": "",
        "chair": "", "clock": "", "cow": "", "crab": "", "cup": "", "dog": "", "drum": "", "duck": "", "fork": "",
        "fox": "foxes", "frog": "", "guitar": "", "hammer": "", "hat": "", "horse": "", "kettle": "", "key": "",
        "lamp": "", "lemon": "", "lion": "", "mug": "", "owl": "", "pear": "", "pencil": "", "pillow": "",
        "rabbit": "", "robot": "", "shoe": "", "spoon": "", "suitcase": "", "teapot": "", "tent": "", "tractor": "",
        "train": "", "turtle": "", "umbrella": "", "vase": "", "violin": "", "watch": "watches",
    }.items()
}  # fmt: skip
"""Name -> plural."""
ATTRIBUTES = (
    "black", "blue", "brown", "golden", "green", "grey", "orange", "pink", "purple", "red", "silver", "white", "yellow",
    "glass", "metal", "paper", "plastic", "stone", "wooden", "checkered", "dotted", "striped", "furry", "rusty",
    "shiny",
)  # fmt: skip
RELATIONS = (
    "to the left of", "to the right of", "above", "below", "in front of", "behind", "on top of", "next to",
)  # fmt: skip
OPENINGS = (
    "The picture shows {}.",
    "There {} in this scene.",
    "Draw {}, and nothing else.",
    "A photograph with {} in it.",
)
_MOST_TRIES = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """What a category's prompts are made of.

    Attributes:
        groups: (fewest, most) groups of objects.
        attributes, counts, relations: whether the groups have them; a relation stands between the first two groups.
    """

    groups: tuple[int, int]
    attributes: bool = False
    counts: bool = False
    relations: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """So many objects of a name, with an attribute or without."""

    noun: str
    attribute: str = ""
    count: int = 1

    @property
    def name(self) -> str:
        """``red cups``."""
        return " ".join(filter(None, (self.attribute, self.bare)))

    @property
    def bare(self) -> str:
        """``cups``."""
        return self.noun if self.count == 1 else NOUNS[self.noun]

    @property
    def phrase(self) -> str:
        """``two red cups``, ``an owl``."""
        if self.count > 1:
            return f"{_word(self.count)} {self.name}"
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    @property
    def verb(self) -> str:
        """``is`` or ``are``."""
        return "is" if self.count == 1 else "are"


@dataclass(frozen=True, slots=True)
class Composed:
    """A prompt and its checklist."""

    text: str
    questions: tuple[Question, ...]


def compose(parts: Parts, count: int, seed: str, most: int) -> list[Composed]:
    """So many different prompts, which follow from the seed alone.

    Args:
        most: objects of a group, where groups are counted.

    Raises:
        ValueError: there are not as many.
    """
    dice = random.Random(seed)
    found: dict[str, Composed] = {}
    tries = 0
    while len(found) < count:
        made = _composed(parts, dice, most)
        tries = 0 if made.text not in found else tries + 1
        if tries > _MOST_TRIES:
            raise ValueError(f"only {len(found)} different prompts were found")
        found[made.text] = made
    return list(found.values())


def _composed(parts: Parts, dice: random.Random, most: int) -> Composed:
    number = dice.randint(*parts.groups)
    groups = [Group(noun) for noun in dice.sample(list(NOUNS), number)]
    if parts.attributes:
        attributes = dice.sample(ATTRIBUTES, number)
        groups = [replace(group, attribute=attribute) for group, attribute in zip(groups, attributes, strict=True)]
    if parts.counts:
        counts = [dice.randint(1, most) for _ in groups]
        counts[dice.randrange(number)] = dice.randint(2, most)
        groups = [replace(group, count=one) for group, one in zip(groups, counts, strict=True)]
    relation = dice.choice(RELATIONS) if parts.relations else ""
    return Composed(_sentence(groups, relation, dice), tuple(_questions(groups, relation, counted=parts.counts)))


def _sentence(groups: Sequence[Group], relation: str, dice: random.Random) -> str:
    phrases = [group.phrase for group in groups]
    if relation:
        phrases = [f"{phrases[0]} {relation} {phrases[1]}", *phrases[2:]]
    listed = phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
    opening = dice.choice(OPENINGS)
    return opening.format(f"{groups[0].verb} {listed}" if opening.startswith("There") else listed)


def _questions(groups: Sequence[Group], relation: str, *, counted: bool) -> Iterator[Question]:
    """For each group whether it is there, how many and which, and the relation; parents are the groups' presence."""
    for group in groups:
        there = f"Is there {_article(group.noun)} in the picture?" if group.count == 1 else ""
        yield Question(id=group.noun, text=there or f"Are there {group.bare} in the picture?", tag="object")
        if counted:
            text = f"How many {NOUNS[group.noun]} are in the picture?"
            yield Question(
                id=f"{group.noun} count", text=text, answers=(_word(group.count),), parents=(group.noun,), tag="count"
            )
        if group.attribute:
            text = f"{group.verb.capitalize()} the {group.bare} {group.attribute}?"
            yield Question(id=f"{group.noun} attribute", text=text, parents=(group.noun,), tag="attribute")
    if relation:
        first, second = groups[:2]
        text = f"{first.verb.capitalize()} the {first.bare} {relation} the {second.bare}?"
        yield Question(id="relation", text=text, parents=(first.noun, second.noun), tag="relation")


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _word(number: int) -> str:
    return list(NUMBERS)[number - 1]
