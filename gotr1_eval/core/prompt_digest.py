"""Which list of prompts a run stands on, told by a digest: half a list, or another one, is another benchmark."""

from __future__ import annotations

import hashlib

from gotr1_eval.core.identifiers import utf8
from gotr1_eval.core.types import Sample


class PromptDigest:
    """The prompts of a plan's samples, in order and each once; keeps none of them.

    `value` is the first 16 hex digits of the sha256 of the prompts, one a line; `number` says how many there are.
    """

    def __init__(self) -> None:
        self.number = 0
        self._digest = hashlib.sha256()
        self._last: str | None = None

    def add(self, sample: Sample) -> None:
        """One more sample; all of a prompt stand together."""
        # Prompts may repeat in a list: the identity of one is the sample's id without the image index.
        identity = sample.id.rpartition("/")[0]
        if identity != self._last:
            self._digest.update(utf8(f"\n{sample.prompt}" if self.number else sample.prompt))
            self.number, self._last = self.number + 1, identity

    @property
    def value(self) -> str:
        """See the class."""
        return self._digest.hexdigest()[:16]
