"""Where files of other people are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "GOTR1_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of files: in $GOTR1_CACHE, or else in ``gotr1-eval`` of the user's cache (XDG)."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser() / kind
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gotr1-eval" / kind
