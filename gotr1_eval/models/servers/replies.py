"""What comes back from a server, whatever was asked: a JSON object, or something else that is told on one line."""

from __future__ import annotations

import json
import re
from typing import Any

from gotr1_eval.core.errors import BackendError, one_line

NOT_TAKEN = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed|cannot both|"
    r"deprecated|only the default",
    re.IGNORECASE,
)
"""How servers complain of a parameter that they do not take."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def read_reply(content: bytes, expected: str) -> dict[str, Any]:
    """The JSON object of a reply.

    Args:
        expected: what it should be, for the message.

    Raises:
        BackendError: it is none.
    """
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        seen = quoted(content[:20_000].decode("utf-8", "replace"))
        raise BackendError(f"expected {expected} in JSON, got {seen}")
    return whole


def quoted(text: str) -> str:
    """What a server said, for a message: a web page by its title, anything else shortened."""
    if "<html" in text[:2000].lower() or "<!doctype html" in text[:2000].lower():
        title = _TITLE.search(text[:20_000])
        return "a web page" + (f" with the title {one_line(title[1], 80)!r}" if title else "")
    return repr(one_line(text[:2000], 160))
