"""The project's extras, the packages that some parts need, and how to install them."""

from __future__ import annotations

import re
from importlib import metadata

_OF_EXTRA = re.compile(r"([\w.-]+)(\[[\w,]+\])?.*\bextra == ['\"](\w+)['\"]")


def extras() -> dict[str, dict[str, str]]:
    """Extra -> its packages -> each as pip takes it, from the project's own metadata; without the developers' one."""
    found: dict[str, dict[str, str]] = {}
    try:
        requirements = metadata.requires("gotr1-eval") or []
    except metadata.PackageNotFoundError:  # run from a folder of its sources
        requirements = []
    for requirement in requirements:
        if (match := _OF_EXTRA.match(requirement)) and match[3] != "dev":
            found.setdefault(match[3], {})[match[1]] = f"'{match[1]}{match[2]}'" if match[2] else match[1]
    return found


def install_hint(extra: str) -> str:
    """The command that brings an extra: by its packages, since nothing says where the project was installed from."""
    return f"pip install {' '.join(extras().get(extra, {extra: extra}).values())}"
