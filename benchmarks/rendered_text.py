"""Text that a picture should show against text that was read in it, as several benchmarks compare them.

Only letters of a fixed list, digits and white space count: Chinese from U+4E00 to U+9FA5, Latin, and the accents of
French. Both sides become multisets, of words or of characters; what stands in both is matched, so that neither the
order nor a surplus word costs anything. Source: X-Omni-Team/X-Omni @ 2b8237b, ``textbench/`` (Apache-2.0).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import Interval, prompt_bootstrap

_LETTERS = "\u4e00-\u9fa5a-zA-Z0-9àâäéèêëîïôöùûüçÀÂÄÉÈÊËÎÏÔÖÙÛÜÇ"
_OTHER = re.compile(rf"[^{_LETTERS}\s]")
_OTHER_OR_BLANK = re.compile(rf"[^{_LETTERS}]")
HALLUCINATED = ("addCriterion", "No text recognized.")
"""What Qwen2.5-VL writes of its own; the scripts mean to remove both."""


def spaced(text: str) -> str:
    """The text without other signs, white space as single blanks."""
    return re.sub(r"\s+", " ", _OTHER.sub("", text)).strip()


def unspaced(text: str) -> str:
    """The text without other signs and without white space."""
    return _OTHER_OR_BLANK.sub("", text)


def any_letters(text: str, *, blanks: bool, fold: bool) -> str:
    """Letters and digits of every script, composed; white space as single blanks, or none.

    Args:
        fold: upper case is taken for lower case.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(one for one in (composed.casefold() if fold else composed) if one.isalnum() or one.isspace())
    return (" " if blanks else "").join(kept.split())


@dataclass(frozen=True, slots=True)
class Match:
    """Two multisets compared.

    Attributes:
        unmatched: what is wanted and was not read, in the order of its first appearance.
    """

    matched: int
    wanted: int
    unmatched: tuple[str, ...]


def match(wanted: Sequence[str] | str, read: Iterable[str]) -> Match:
    """What of the wanted words (of the characters, where it is a text) was read, each as often as it is wanted."""
    there = Counter(wanted)
    missing = there - Counter(read)
    unmatched = tuple(missing.elements())
    return Match(len(wanted) - len(unmatched), len(wanted), unmatched)


def has_chinese(text: str) -> bool:
    """Whether a character of the Chinese block is in it."""
    return any("\u4e00" <= one <= "\u9fff" for one in text)


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's distance: the fewest insertions, deletions and replacements of a character."""
    letters = np.array([ord(letter) for letter in other], dtype=np.int64)
    steps = np.arange(len(other) + 1)
    row = steps
    for place, letter in enumerate(one, start=1):
        replaced = np.minimum(row[1:] + 1, row[:-1] + (letters != ord(letter)))
        # An insertion goes on from the cell to the left: each cell is the least of those before it and the way there.
        row = np.minimum.accumulate(np.concatenate([[place], replaced]) - steps) + steps
    return int(row[-1])


def micro_interval(by_prompt: Sequence[Sequence[Match]]) -> Interval:
    """95 % interval of matched over wanted words of all pictures, drawing whole prompts; (None, None) below two."""
    words = []
    for group in by_prompt:
        matched, wanted = sum(one.matched for one in group), sum(one.wanted for one in group)
        words.append([1.0] * matched + [0.0] * (wanted - matched))
    return prompt_bootstrap([group for group in words if group])
