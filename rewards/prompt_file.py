"""The text that a judge asks with: a file with literal markers.

``[[prompt]]``, ``[[chain]]`` and ``[[answer]]`` are replaced in one pass, so that nothing inside a sample is ever
replaced in turn, and braces, percent signs and dollars mean nothing. A sample's text stands between tags that it
cannot close.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from gotr1_eval.core.errors import DataError

_MARKER = re.compile(r"\[\[(\w+)\]\]")
_TAG = re.compile(r"<(/?)(text_[a-z]+)", re.I)


class PromptFile:
    """A judge's prompt text.

    Args:
        name: of a file that comes with the package, without its ending.
        path: a user's own file instead.
        markers: those that the text must and may contain.

    Raises:
        DataError: the file cannot be read, lacks a marker, or has an unknown one.
    """

    def __init__(self, name: str, path: Path | None, markers: frozenset[str]) -> None:
        self.path = path or Path(str(resources.files("rewards") / "prompts" / f"{name}.txt"))
        try:
            self.text = self.path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read the judge's prompt: {error}", path=self.path) from None
        found = frozenset(_MARKER.findall(self.text))
        if found != markers:
            wrong = ", ".join(f"[[{marker}]]" for marker in sorted(found ^ markers))
            raise DataError(
                f"the judge's prompt must contain each of its markers and no other; differing: {wrong}", path=self.path
            )

    @property
    def digest(self) -> str:
        """Four hex digits that tell two texts apart in a judge's name."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:4]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every marker replaced.

        Args:
            values: marker -> text. All but ``answer``, which is the judge's own, are taken as foreign text.
        """
        return _MARKER.sub(lambda match: self._value(match[1], values), self.text)

    @staticmethod
    def _value(marker: str, values: Mapping[str, str]) -> str:
        if marker == "answer":
            return values[marker]
        # A sample that writes our tags must not be able to end its own quotation.
        quoted = _TAG.sub(r"‹\1\2", values[marker])
        return f"<text_{marker}>\n{quoted}\n</text_{marker}>"
