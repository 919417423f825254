"""Which objects a numeracy prompt counts, and how many of each it asks for.

The objects are those of the benchmark's own vocabulary, ``new_objects.txt``: a line an object, ``goose - geese``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.errors import DataError

NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
ONE = ("a", "an", "one")
ARTICLES = ("a", "an")
REACH = 3
"""`corrected`: words after a number among which its object is looked for ("three small dogs")."""
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_NUMBERS = {
    **NUMBERS,
    **_TENS,
    **{word: number for number, word in enumerate(("nine", "ten", "eleven", "twelve", "thirteen", "fourteen"), 9)},
    **{word: number for number, word in enumerate(("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"), 15)},
}
_GROUPS = {"dozen": 12, "hundred": 100, "couple": 2, "pair": 2, "pairs": 2}
_PAIRED = frozenset(("scissors", "glasses", "sunglasses", "pants", "trousers", "jeans", "shorts", "headphones"))
"""One thing that is called a pair."""
_MOST_DIGITS = 4
_OPEN = frozenset(
    ("least", "most", "than", "nearly", "almost", "approximately", "roughly", "not", "without", "maybe", "no")
)
"""`corrected`: words before a number that leave open how many there are."""
_ONE_QUANTITY = frozenset(("or", "to", "of", "the", "-", "–"))
_PARTS = re.compile(r"[^\W_]+|[-–]")
_HYPHENS = re.compile(r"(?<=half) ?- ?(?=dozen)|(?<=ty) ?- ?(?=[a-z])")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Singular and plural names, aligned; names may repeat."""

    singulars: tuple[str, ...]
    plurals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """An object by its singular, and how many of it are asked for; None where the official script loses the number."""

    name: str
    number: int | None


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a file of lines ``singular - plural``.

    Raises:
        DataError: the file cannot be read, or a line is no pair.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot read the vocabulary of numeracy: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise DataError("the vocabulary of numeracy is not UTF-8", path=path) from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        singular, dash, plural = line.strip().partition(" - ")
        if not (dash and singular and plural):
            raise DataError(f"expected 'singular - plural', got {line!r}", path=path, line=number)
        pairs.append((singular, plural))
    return Vocabulary(tuple(one for one, _ in pairs), tuple(many for _, many in pairs))


def read_counts(words: Sequence[str], vocabulary: Vocabulary, semantics: Semantics = "reference") -> list[Count]:
    """The counted objects of a tokenised prompt, in order.

    Raises:
        UndefinedScoreError: where the official script stops: nothing after a number, or a singular after a number above
            one.
    """
    if semantics == "corrected":
        return _corrected(words, vocabulary)
    counts = []
    for place, word in enumerate(words):
        if word not in NUMBERS:
            continue
        if place + 1 >= len(words):
            raise UndefinedScoreError(f"nothing follows {word!r}", "IndexError")
        two_words = " ".join(words[place + 1 : place + 3])
        noun = next((name for name in (two_words, words[place + 1]) if _known(name, vocabulary)), None)
        if noun is not None:
            counts.append(_count(word, noun, vocabulary))
    return counts


def _known(name: str, vocabulary: Vocabulary) -> bool:
    return name in vocabulary.singulars or name in vocabulary.plurals


def _count(word: str, noun: str, vocabulary: Vocabulary) -> Count:
    """The script's rule: a singular needs a word for one, a plural loses the number of an article."""
    if word in ONE and noun in vocabulary.singulars:
        return Count(noun, 1)
    if noun not in vocabulary.plurals:
        raise UndefinedScoreError(f"{noun!r} after {word!r} is no plural of the vocabulary", "ValueError")
    singular = vocabulary.singulars[vocabulary.plurals.index(noun)]
    return Count(singular, None if word in ARTICLES else NUMBERS[word])


def _corrected(words: Sequence[str], vocabulary: Vocabulary) -> list[Count]:
    """Numbers in any case and of any size ("a dozen", "twenty-two"), adjectives in between, and a singular where a
    plural is due ("two cat"). Several quantities of one object are added up ("one red apple and two green apples").

    Raises:
        UndefinedScoreError: the prompt leaves a number open ("two or three dogs", "at least two").
    """
    folded = _PARTS.findall(_HYPHENS.sub(" ", " ".join(words).lower()))
    counts: dict[str, int] = {}
    place, waiting = 0, 0
    while place < len(folded):
        read = _number_at(folded, place)
        if read is None:
            place += 1
            continue
        number, end = read
        if place and folded[place - 1] in _OPEN:
            raise UndefinedScoreError(f"the prompt leaves a number open: {' '.join(folded[place - 1 : end + 1])!r}")
        noun, after = _object_after(folded, end, vocabulary)
        if noun is not None:
            in_plurals = noun in vocabulary.plurals
            name = vocabulary.singulars[vocabulary.plurals.index(noun)] if in_plurals else noun
            counts[name] = counts.get(name, 0) + number + waiting
            waiting = 0
        elif folded[place] not in ARTICLES:
            waiting = _elliptical(folded, end, after, number + waiting)
        place = end
    return [Count(name, number) for name, number in counts.items()]


def _elliptical(words: Sequence[str], end: int, after: int, number: int) -> int:
    """What a number without an object of its own adds to the next one: "two red and three green apples".

    Args:
        end: where the number ends.
        after: where the next number begins; `end` where there is none.

    Raises:
        UndefinedScoreError: the two numbers are one quantity that is left open: "two or three", "two of three".
    """
    between = words[end:after]
    if after > end and between[-1] == "and":
        return number
    if after > end and set(between) <= _ONE_QUANTITY:
        raise UndefinedScoreError(f"the prompt leaves a number open: {' '.join(words[end - 1 : after + 1])!r}")
    return 0


def _number_at(words: Sequence[str], place: int) -> tuple[int, int] | None:
    """The number that begins at a word, and where it ends; None where none does."""
    word = words[place]
    following = words[place + 1] if place + 1 < len(words) else ""
    if word == "half" and (after := place + 1 + (following in ARTICLES)) < len(words) and words[after] == "dozen":
        return 6, after + 1
    if word in _TENS and 0 < _NUMBERS.get(following, 0) < 10 and following not in ARTICLES:
        number, end = _TENS[word] + _NUMBERS[following], place + 2
    elif word.isdecimal() and len(word) <= _MOST_DIGITS:
        number, end = int(word), place + 1
    else:
        number, end = _NUMBERS.get(word, 0), place + 1
    if not number and word in _GROUPS:
        number, end = 1, place
    group = words[end] if end < len(words) else ""
    if not number or group not in _GROUPS:
        return (number, end) if number else None
    of = words[end + 1 : end + 2] == ["of"]
    thing = words[end + 1 + of] if end + 1 + of < len(words) else ""
    if group in ("pair", "pairs") and thing in _PAIRED:
        return number, end + 1 + of
    if group in ("couple", "pair", "pairs") and not of:
        # "a couple walking a dog" is no number.
        return None
    return number * _GROUPS[group], end + 1 + of


def _object_after(words: Sequence[str], place: int, vocabulary: Vocabulary) -> tuple[str | None, int]:
    """The nearest object behind a number that ends at a word, before the next number; a name of two words before its
    last word alone. And where the next number begins that was met instead; `place` where none was."""
    for start in range(place, min(place + REACH, len(words))):
        if _number_at(words, start) is not None:
            return None, start
        for name in (" ".join(words[start : start + 2]), words[start]):
            if _known(name, vocabulary):
                return name, place
    return None, place
