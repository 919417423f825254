"""Names of objects: which words tell one object from another, and whether two names mean the same one.

Only spelling is folded: case, articles, counts, numbers of instances, plural endings, hyphens and possessives. Synonyms
are never guessed: a puppy is no dog here. English is assumed for endings; names in other scripts are compared as they
stand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_IDLE_WORDS = frozenset(("a", "an", "the", "one", "two", "three", "four", "five", "six", "some", "of"))


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


COLOURS = word_set(
    "red orange yellow green blue purple pink brown black white gray grey gold golden silver violet turquoise "
    "beige maroon navy teal crimson scarlet indigo cyan magenta tan ivory"
)
ADJECTIVES = COLOURS | word_set(
    # shapes and sizes
    "big small large little tiny huge tall short long wide narrow thick thin round circular square rectangular "
    "triangular oval oblong spherical cubic cylindrical conical pyramidal pentagonal hexagonal octagonal diamond "
    "teardrop flat curved straight sharp pointed pointy blunt deep shallow high low slender "
    # materials and surfaces
    "wooden metallic plastic rubber leather fabric fluffy glass cotton wool woolen woollen silk silky velvet "
    "smooth rough soft hard shiny glossy matte dull transparent opaque crisp crunchy furry fuzzy bumpy sticky "
    "slippery dry wet "
    # temperature, taste, age, looks
    "hot cold warm cool icy fresh sweet sour bitter salty spicy savory ripe raw old new young ancient modern "
    "antique vintage rustic bright dark light pale vibrant colorful colourful heavy full empty open closed clean "
    "dirty loud quiet gentle fierce strong weak fragile sturdy delicate intricate ornate elegant graceful "
    "beautiful pretty lovely cozy cute tender juicy creamy rich plain simple grand majestic vast busy calm lush "
    "dense"
)
_SIDES = word_set("left leftmost right rightmost")
_LEVELS = word_set("top topmost upper bottom bottommost lower")
_PLACES = _SIDES | _LEVELS | word_set("middle center central front back first second third fourth fifth last next")
_ATTRIBUTES = (
    ADJECTIVES
    | _PLACES
    | word_set(
        "sleeping sitting standing lying running walking flying swimming smiling striped dotted spotted solid painted "
        "broken single main visible whole entire same other another very this that these those each every "
        "his her its their my your our metal stone"
    )
)
"""Words that only describe the noun after them. Any other word before a noun makes another name: a traffic light is
not just any light, and a hot dog is no dog."""
_CONTRASTS = (COLOURS, _SIDES, _LEVELS)
"""Two names with different words of one of these groups mean two objects."""
_COMPOUNDS = frozenset(
    (
        ("hot", "dog"),
        ("red", "panda"),
        ("hard", "drive"),
        ("hard", "hat"),
        ("soft", "drink"),
        ("sweet", "potato"),
        ("white", "board"),
        ("black", "board"),
        ("green", "house"),
        ("high", "heel"),
        ("high", "chair"),
        ("light", "bulb"),
        ("light", "house"),
        ("hot", "air", "balloon"),
        ("short", "cake"),
        ("wet", "suit"),
        ("gold", "fish"),
        ("orange", "juice"),
    )
)
_FRAMES = re.compile(
    r"^(?:(?:an?|the|this)\s+)?(?:photo|photograph|picture|image|pair|set|couple|kind|type)s?\s+of\s+", re.I
)
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_ENDS_NAME = word_set(
    "of with without in on at by from to for near next beside behind under over above below beneath underneath "
    "between inside outside into onto against around along across through among "
    "that which who whose whom while as is are was were has have and or "
    "wearing holding sitting standing lying sleeping riding carrying eating drinking looking playing running walking "
    "flying facing made filled covered dressed seated placed located"
)
"""What comes after one of these, behind a noun, describes the object: a person in a blue jacket is a person."""
_NUMERALS = word_set("number digit numeral letter character figure")
_SEVERAL = re.compile(r"\s*(?:[,/&+|;]|\band\b|\bor\b)\s*", re.I)
_NO_NAME = word_set("object target item thing bbox box instance result region answer it detection none null unknown")

_IRREGULAR = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child",
    "geese": "goose", "mice": "mouse", "feet": "foot", "teeth": "tooth", "oxen": "ox",
    "dice": "die", "cacti": "cactus", "fungi": "fungus",
    "octopi": "octopus", "knives": "knife", "wives": "wife", "lives": "life", "leaves": "leaf", "wolves": "wolf",
    "shelves": "shelf", "bookshelves": "bookshelf", "calves": "calf", "halves": "half", "loaves": "loaf",
    "thieves": "thief", "scarves": "scarf", "hooves": "hoof", "elves": "elf", "dwarves": "dwarf", "axes": "axe",
    "lens": "lens", "lenses": "lens", "canvas": "canvas", "canvases": "canvas", "gas": "gas", "gases": "gas",
    "species": "species", "series": "series", "houses": "house", "blouses": "blouse", "mouses": "mouse",
}  # fmt: skip
"""Plurals that the rules below would miss."""
_NO_PLURAL_OF_MAN = word_set("specimen regimen abdomen omen semen ramen acumen amen yemen stamen hymen")
_KEEPS_IE = word_set(
    "cookies movies zombies brownies smoothies hoodies selfies birdies genies prairies magpies bowties neckties "
    "rookies collies budgies veggies calories"
)
_KEEPS_E = word_set(
    "shoes horseshoes toes canoes hoes oboes does foes moustaches mustaches quiches brioches niches caches headaches "
    "avalanches uses fuses muses causes"
)


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name that tell it from others: lower case, singular, without articles and counts."""
    words = (_singular(word) for word in _WORD.findall(_folded(name)))
    return tuple(word for word in words if word not in _IDLE_WORDS)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("’", "'").casefold()


def _singular(word: str) -> str:
    """The word without its plural or possessive ending; rough on purpose, since both sides are treated alike."""
    word = word.removesuffix("'s")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("men") and len(word) > 4 and word not in _NO_PLURAL_OF_MAN:
        return word[:-3] + "man"
    if len(word) > 3 and word.endswith("ies"):
        return word[:-1] if len(word) <= 4 or word in _KEEPS_IE else word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "oes", "uses")) and word not in _KEEPS_E:
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def spelling(name: str) -> str:
    """The name in one spelling, by which equal names are found: lower case, blanks folded, no leading article."""
    words = re.findall(r"\S+", _folded(name))
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A name taken apart.

    Attributes:
        noun: the words that say what the object is, singular; the last is the head noun ("traffic", "light").
        attributes: the words before them that only describe it.
    """

    noun: tuple[str, ...]
    attributes: frozenset[str]

    @property
    def head(self) -> str:
        """The last word of the noun; empty where a name says nothing."""
        return self.noun[-1] if self.noun else ""


def take_apart(name: str) -> ObjectName:
    """The noun of a name and its attributes: "two big brown dogs in a park" is ``dog``, ``big`` and ``brown``.

    What follows the noun behind a preposition, a comma or in brackets is left out, and so are numbers of instances
    ("dog #2", "person A").
    """
    text = _FRAMES.sub("", _BRACKETS.sub(" ", _folded(name)).strip())
    words: list[str] = []
    for word in _WORD.findall(text.split(",")[0]):
        if word in _ENDS_NAME and any(before not in _ATTRIBUTES | _IDLE_WORDS for before in words):
            break
        words.append(word)
    words = [_singular(word) for word in _without_instance(words)]
    words = [word for word in words if word not in _IDLE_WORDS]
    start = 0
    while len(words) - start > 1 and words[start] in _ATTRIBUTES and tuple(words[start:]) not in _COMPOUNDS:
        start += 1
    return ObjectName(tuple(words[start:]), frozenset(words[:start]))


def _without_instance(words: Sequence[str]) -> list[str]:
    """Without the digits that tell instances apart, and a single letter at the end; "number 7" keeps its own."""
    kept = [
        word
        for place, word in enumerate(words)
        if not re.fullmatch(r"[0-9]+(?:st|nd|rd|th)?", word) or (place and words[place - 1] in _NUMERALS)
    ]
    last_is_letter = len(kept) > 1 and re.fullmatch("[a-z]", kept[-1]) and kept[-2] not in _NUMERALS
    return kept[:-1] if last_is_letter else kept


class Match(Enum):
    """Whether a name that was said means the object that was asked for."""

    SAME_WORDS = "same words"
    SAME_OBJECT = "same object"
    OTHER = "other"
    UNSURE = "unsure"


def match_names(asked: str, said: str) -> Match:
    """How a name that was said stands to the one that was asked for.

    ``SAME_WORDS`` but for case, number, articles, hyphens and blanks. ``SAME_OBJECT``: one noun, and one of the two has
    all attributes of the other ("dog", "brown dog"). ``UNSURE`` where only a guess could tell: another script, several
    names in one ("dog and cat"), a noun with a further word before it ("table", "dining table"), attributes that
    neither agree nor contradict each other ("brown dog", "small dog"). Else it is another object, synonyms included.
    """
    if name_words(asked) and "".join(name_words(asked)) == "".join(name_words(said)):
        return Match.SAME_WORDS
    one, other = take_apart(asked), take_apart(said)
    if _of_latin_script(asked) != _of_latin_script(said):
        return Match.UNSURE
    parts = [part for part in _SEVERAL.split(said) if part]
    if len(parts) > 1 and any(match_names(asked, part) is not Match.OTHER for part in parts):
        return Match.UNSURE
    if "".join(one.noun) == "".join(other.noun):
        return _match_attributes(one.attributes, other.attributes)
    shorter, longer = sorted((one.noun, other.noun), key=len)
    # "hot dog" was left whole as a noun; what is a proper end of it ("dog") may or may not be meant.
    return Match.UNSURE if shorter and longer[-len(shorter) :] == shorter else Match.OTHER


def _match_attributes(one: frozenset[str], other: frozenset[str]) -> Match:
    if one <= other or other <= one:
        return Match.SAME_OBJECT
    contrary = any(one & group and other & group and not one & other & group for group in _CONTRASTS)
    return Match.OTHER if contrary else Match.UNSURE


def _of_latin_script(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    return not letters or any(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)


def says_nothing(label: str) -> bool:
    """Whether a label names no object: empty, a number, or a word such as "object" or "bbox"."""
    noun = take_apart(label).noun
    return not noun or (len(noun) == 1 and noun[0] in _NO_NAME)


class NameIndex:
    """The names of a plan, looked up by phrases of a prompt in a time that does not grow with their number.

    Args:
        names: as they stand in the plan; equal names are several objects.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._places: dict[tuple[str, ...], list[int]] = {}
        self._by_last: dict[str, list[tuple[str, ...]]] = {}
        self._by_word: dict[str, list[tuple[str, ...]]] = {}
        self._by_head: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            words = name_words(name)
            if words and words not in self._places:
                self._by_last.setdefault(words[-1], []).append(words)
                for word in dict.fromkeys(words):
                    self._by_word.setdefault(word, []).append(words)
            if words:
                self._places.setdefault(words, []).append(index)
            if head := _head(name):
                self._by_head.setdefault(head, []).append(index)

    def find(self, phrase: str, without: int | None = None) -> list[int]:
        """Which names a phrase of the prompt means; see `find_named`.

        Args:
            without: index of a name that is not looked for.
        """
        words = name_words(phrase)
        if not words:
            return []
        if exact := self._of([words], without):
            return exact
        every = frozenset(words)
        for word in dict.fromkeys(words):
            # The earliest mention; of names that end with the same word the longest ("cat" and "toy cat").
            mentioned = [name for name in self._by_last.get(word, ()) if every.issuperset(name)]
            for name in sorted(mentioned, key=len, reverse=True):
                if places := self._of([name], without):
                    return places
        rarest = min(words, key=lambda word: len(self._by_word.get(word, ())))
        containing = [name for name in self._by_word.get(rarest, ()) if every.issubset(name)]
        if found := self._of(containing, without):
            return found
        return [index for index in self._by_head.get(_head(phrase), ()) if index != without]

    def _of(self, names: Iterable[tuple[str, ...]], without: int | None) -> list[int]:
        """Where the names stand, in the plan's order."""
        return sorted(index for name in names for index in self._places.get(name, ()) if index != without)


def _head(name: str) -> str:
    """The noun a name is about: its last word, before any "of" or "with"."""
    words = name_words(re.split(r"\b(?:of|with|in|on)\b", name.lower(), maxsplit=1)[0])
    return words[-1] if words else ""


def find_named(phrase: str, names: Iterable[str]) -> list[int]:
    """Which names of a plan a phrase of the prompt means.

    Tried in order, the first that finds any name wins: the same words; a name whose words all stand in the
    phrase (the earliest mentioned); a name that contains the whole phrase; the same head noun.

    Args:
        phrase: a noun phrase of the prompt, possibly with words around it.
        names: the plan's object names.

    Returns:
        Indices into `names`; several when a name occurs several times; empty when none fits.
    """
    return NameIndex(list(names)).find(phrase)
