"""Which objects a numeracy prompt counts, and how many of each it asks for.

The objects are those of the benchmark's own vocabulary, ``new_objects.txt``: a line an object, ``goose - geese``.
"""

from __future__ import annotations

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
    """Numbers in any case, adjectives in between, and a singular where a plural is due ("two cat")."""
    folded = [word.lower() for word in words]
    counts = []
    for place, word in enumerate(folded):
        noun = _object_after(folded, place, vocabulary) if word in NUMBERS else None
        if noun is not None:
            in_plurals = noun in vocabulary.plurals
            name = vocabulary.singulars[vocabulary.plurals.index(noun)] if in_plurals else noun
            counts.append(Count(name, NUMBERS[word]))
    return counts


def _object_after(words: Sequence[str], place: int, vocabulary: Vocabulary) -> str | None:
    """The nearest object behind a number, before the next number; a name of two words before its last word alone."""
    for start in range(place + 1, min(place + 1 + REACH, len(words))):
        if words[start] in NUMBERS:
            return None
        for name in (" ".join(words[start : start + 2]), words[start]):
            if _known(name, vocabulary):
                return name
    return None
