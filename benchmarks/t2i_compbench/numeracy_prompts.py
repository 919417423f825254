"""Which objects a numeracy prompt counts, and how many of each it asks for.

The objects are those of the benchmark's own vocabulary, ``new_objects.txt``: a line an object, ``goose - geese``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.number_words import ARTICLES, is_vague, number_at, number_tokens, open_number
from gotr1_eval.core.errors import DataError

NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
ONE = ("a", "an", "one")
REACH = 3
"""`corrected`: words after a number among which its object is looked for ("three small dogs")."""
_ONE_QUANTITY = frozenset(("or", "to", "of", "the", "-", "–"))


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
        UndefinedScoreError: the prompt leaves a number open ("two or three dogs", "at least two", "a few dogs").
    """
    folded = number_tokens(words)
    counts: dict[str, int] = {}
    place, waiting = 0, 0
    while place < len(folded):
        if is_vague(folded, place) and _object_after(folded, place + 1, vocabulary)[0] is not None:
            raise open_number(folded[place : place + 3])
        read = number_at(folded, place)
        if read is None:
            place += 1
            continue
        number, end = read
        if adjective := _is_adjective(folded, place, end, vocabulary):
            # "a four door car": the article counts, and what follows the number belongs to the adjective.
            number, end = 1, end + 1
        noun, after = _object_after(folded, end, vocabulary)
        if noun is not None and not _is_content(folded, place, end, noun, vocabulary):
            in_plurals = noun in vocabulary.plurals
            name = vocabulary.singulars[vocabulary.plurals.index(noun)] if in_plurals else noun
            counts[name] = counts.get(name, 0) + number + waiting
            waiting = 0
        elif folded[place] not in ARTICLES and not adjective:
            waiting = _elliptical(folded, end, after, number + waiting)
        place = end
    return [Count(name, number) for name, number in counts.items()]


def _is_adjective(words: Sequence[str], place: int, end: int, vocabulary: Vocabulary) -> bool:
    """Whether the number behind an article belongs to an adjective, as of "a four door car"."""
    follows = place > 0 and words[place - 1] in ARTICLES and number_at(words, place - 1) == (1, place)
    return follows and " ".join(words[end : end + 1]) not in vocabulary.plurals


def _is_content(words: Sequence[str], place: int, end: int, noun: str, vocabulary: Vocabulary) -> bool:
    """Whether an article belongs to what holds the objects, whose number is not said: "a basket of apples"."""
    article = words[place] in ARTICLES and end == place + 1
    return (
        article and noun in vocabulary.plurals and noun not in vocabulary.singulars and "of" in words[end : end + REACH]
    )


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
        raise open_number(words[end - 1 : after + 1])
    return 0


def _object_after(words: Sequence[str], place: int, vocabulary: Vocabulary) -> tuple[str | None, int]:
    """The nearest object behind a number that ends at a word, before the next number; a name of two words before its
    last word alone. And where the next number begins that was met instead; `place` where none was."""
    for start in range(place, min(place + REACH, len(words))):
        if number_at(words, start) is not None:
            return None, start
        for name in (" ".join(words[start : start + 2]), words[start]):
            if _known(name, vocabulary):
                return name, place
    return None, place
