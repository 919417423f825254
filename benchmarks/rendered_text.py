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


def any_letters(text: str, *, blanks: bool) -> str:
    """Letters and digits of every script, composed, without upper case; white space as single blanks, or none."""
    composed = unicodedata.normalize("NFC", text).casefold()
    kept = "".join(one for one in composed if one.isalnum() or one.isspace())
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


def micro_interval(by_prompt: Sequence[Sequence[Match]]) -> Interval:
    """95 % interval of matched over wanted words of all pictures, drawing whole prompts; (None, None) below two."""
    words = []
    for group in by_prompt:
        matched, wanted = sum(one.matched for one in group), sum(one.wanted for one in group)
        words.append([1.0] * matched + [0.0] * (wanted - matched))
    return prompt_bootstrap([group for group in words if group])
