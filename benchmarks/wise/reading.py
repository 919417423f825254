"""Replies of WISE's judges -> marks, as the official scripts read them (`reference`) or with certainty (`corrected`).

Sources: PKU-YuanGroup/WISE@eb51174, vllm_eval.py:64 and WISE_legacy/gpt_eval.py:56; ByteDance-Seed/Bagel@056b5fd,
eval/gen/wise/gpt_eval_mp.py:41. What the official readers get wrong stands in docs/benchmarks/wise.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gotr1_eval.core.reading import UnreadableReply, read_scores

Marks = dict[str, float]
"""Name of a mark -> its value; without the marks that were not found."""

_NAMED = r"\*{0,2}(consistency|realism|aesthetic quality)\*{0,2}\s*"
_LEGACY = re.compile(_NAMED + r":?\s*(\d)", re.I)
_BAGEL = re.compile(_NAMED + "[:\N{FULLWIDTH COLON}]?" + r"\s*(\d)", re.I)
_VERIFIED = re.compile(r"\*{0,2}score\*{0,2}\s*:?\s*([01])\b", re.I)
_BARE_MARK = re.compile(r"^\s*([0-2])\s*$", re.M)
_BARE_BINARY = re.compile(r"^\s*([01])\s*$", re.M)
_THOUGHT = re.compile(r"<think>.*?</think>\s*", re.S)
_LEFT_OVER = re.compile(r"</think>\s*")
BAGEL_MISSING = 9.9
"""What BAGEL's script notes for a mark that it did not find."""


def read_legacy(text: str) -> Marks:
    """The marks of a reply to the legacy protocol, by the official rules.

    The first digit after a name is its mark, whatever follows it, and a later mention replaces an earlier one; three
    lines of one digit each count where no name was found.
    """
    if named := _named(_LEGACY, text):
        return named
    bare = _BARE_MARK.findall(text)
    names = ("consistency", "realism", "aesthetic_quality")
    return dict(zip(names, map(float, bare[:3]), strict=True)) if len(bare) >= 3 else {}


def read_bagel(text: str) -> Marks:
    """The marks as BAGEL's copy of the script reads them: also a full-width colon, no bare lines."""
    return dict.fromkeys(("consistency", "realism", "aesthetic_quality"), BAGEL_MISSING) | _named(_BAGEL, text)


def _named(pattern: re.Pattern[str], text: str) -> Marks:
    return {name.lower().replace(" ", "_"): float(digit) for name, digit in pattern.findall(text)}


def read_verified(text: str) -> Marks:
    """The binary mark of a reply to the Verified protocol, by the official rules: the first one that is named.

    Thoughts are taken away first, as the official client does it. Without a named mark a line that is only 0 or 1
    counts, if there is exactly one.
    """
    answer = strip_thoughts(text)
    if match := _VERIFIED.search(answer):
        return {"score": float(match[1])}
    bare = _BARE_BINARY.findall(answer)
    return {"score": float(bare[0])} if len(bare) == 1 else {}


def strip_thoughts(text: str) -> str:
    """The reply without what stands between think tags; of a closing tag alone what came before stays."""
    return _LEFT_OVER.sub("", _THOUGHT.sub("", text)).strip()


def read_certainly(text: str, names: Sequence[str], highest: int, finish: str | None = None) -> Marks:
    """The marks by the project's own reader: whole numbers from 0 to `highest` under every name, nothing stated twice.

    Raises:
        UnreadableReply: a mark is missing, is no such number, or cannot be read with certainty.
    """
    spoken = [name.replace("_", " ") for name in names]
    found = read_scores(text, names=spoken, low=0, high=highest, finish=finish)
    if broken := [mark for mark in found.values() if not mark.is_integer()]:
        raise UnreadableReply(f"A mark must be a whole number from 0 to {highest}, not {broken[0]:g}.")
    return dict(zip(names, found.values(), strict=True))
