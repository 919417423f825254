"""Noun phrases by rule, without any dependency; made for the benchmark's templated prompts."""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.perception import Parse
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.models.phrases._tagging import parse_prompt
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1


class Settings(StrictSettings):
    """Nothing to set."""


class BuiltinPhrases:
    """See `gotr1_eval.core.perception.Phrases`."""

    name = "builtin"
    fingerprint = fingerprint({"phrases": "builtin", "version": VERSION})

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        """One parse a prompt."""
        return [parse_prompt(prompt) for prompt in prompts]


def build(settings: Settings, workshop: Workshop) -> BuiltinPhrases:
    """The parser; needs nothing."""
    return BuiltinPhrases()
