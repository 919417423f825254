"""What the words around a verdict say of it: that it is an example, somebody else's, or taken back."""

from __future__ import annotations

import re

_RETRACTION = re.compile(
    r"\b(?:hmm+|scratch that|hold on|on (?:second thoughts?|reflection)|upon reflection|in hindsight|my mistake|oops"
    r"|i (?:take (?:that|it) back|was (?:wrong|mistaken)|stand corrected)|disregard (?:that|this)"
    r"|let me (?:re\w+|correct|look again))\b"
    r"|\b(?:wait|correction)\s{0,4}[,.!:;…—–-]"
    r"|(?:[.!?…}\]\n—–-]|\b(?:but|well))\s{0,4}actually\b"
    r"|[.!?…]\s{0,4}(?:sorry|on (?:a )?closer|looking (?:again|closer))\b",
    re.I,
)
_QUOTING = re.compile(
    r"\b(?:says?|said|saying|reads?|reading|written|writes?|printed|painted|shows?|label(?:led|ed)?|caption(?:ed)?|text"
    r"|words?|letters|example|e\.g|instance|if|suppose|would|asked|asks|question|options?|format)\b[^.!?]{0,80}:\W*\Z"
    r"|\b(?:says?|reads?|shows?)\W*\Z",
    re.I,
)
_EXAMPLE = re.compile(
    r"\b(?:examples?|e\.g\.?|for instance|such as|template|hypothetical\w*|suppos\w+|imagine|if|would (?:be|look)"
    r"|(?:sign|text|caption|label|poster|someone|user|prompt) (?:says?|reads?)|format (?:is|was|would))\b"
    r"(?:(?!\n\s{0,20}\n)[^.!?]){0,120}\Z",
    re.I,
)
_NEAR = 200
"""Characters before a verdict that lead to it."""


def takes_back(text: str, end: int) -> bool:
    """Whether the words behind a verdict that ends at a position retract it ("Wait, 2 is yes.")."""
    return _RETRACTION.search(text, end) is not None


def is_quoted(before: str) -> bool:
    """Whether the line above a verdict says that somebody or something else says it ("The sign says:")."""
    return _QUOTING.search(before[-_NEAR:].rstrip()) is not None


def is_example(before: str) -> bool:
    """Whether the words that lead to an object say that it is an example or a supposition, or somebody else's."""
    return _EXAMPLE.search(before[-_NEAR:]) is not None
