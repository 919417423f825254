"""LongText-Bench's comparison: what share of the wanted words, or of Chinese characters, was read in a picture.

Source: X-Omni-Team/X-Omni @ 2b8237b, ``textbench/summary_scores.py`` and ``evaluate_text_reward.py`` (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.rendered_text import HALLUCINATED, Match, any_letters, match, spaced, unspaced
from benchmarks.semantics import Semantics, UndefinedScoreError

Language = Literal["en", "zh"]


def clean(read: str, semantics: Semantics) -> str:
    """What was read without the model's own phrases.

    The script's loop starts again from the original at each phrase, so that `reference` removes the last one alone.
    """
    for phrase in HALLUCINATED if semantics == "corrected" else HALLUCINATED[-1:]:
        read = read.replace(phrase, "")
    return read


def normalise(text: str, language: Language, semantics: Semantics) -> str:
    """What of a text counts: English in lower case with blanks between words, Chinese without blanks.

    `corrected` keeps the letters of every script and ignores case in Chinese texts, too.
    """
    if semantics == "corrected":
        return any_letters(text, blanks=language == "en", fold=True)
    return spaced(text).lower() if language == "en" else unspaced(text)


def compare(wanted: Iterable[str], read: str, language: Language, semantics: Semantics) -> Match:
    """One picture; `read` is as it was read, the model's phrases removed.

    Raises:
        UndefinedScoreError: nothing of the wanted texts counts.
    """
    gold = normalise(" ".join(wanted), language, semantics)
    found = normalise(read, language, semantics)
    compared = match(gold.split(), found.split()) if language == "en" else match(gold, found)
    if not compared.wanted:
        raise UndefinedScoreError("the wanted text has no letter and no digit that counts", "ZeroDivisionError")
    return compared


@dataclass(frozen=True, slots=True)
class TextAccuracy:
    """The official number: matched words of all pictures over wanted ones, so that long texts weigh more."""

    matched: int
    wanted: int
    pictures: int

    @property
    def value(self) -> float | None:
        """In [0, 1]; None without a picture."""
        return self.matched / self.wanted if self.wanted else None


def text_accuracy(pictures: Sequence[Match]) -> TextAccuracy:
    """Over all pictures of a language."""
    return TextAccuracy(sum(one.matched for one in pictures), sum(one.wanted for one in pictures), len(pictures))
