"""Texts of foreign length, shortened for a page."""

from __future__ import annotations

LONGEST = 6000
"""Characters of one chain, note or reply that a page shows; the run folder has the rest."""


def shortened(text: str, limit: int = LONGEST) -> str:
    """The text, or its beginning and how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … [{len(text) - limit:,} more characters in the run folder]"
