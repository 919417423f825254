"""Noun phrases from a file of parses, so that a run needs no parser and two runs cannot differ by one.

One JSON object a prompt and line:

    {"prompt": "a red cat", "source": "spacy en_core_web_sm-3.8.0",
     "tokens": [["a", "DET"], ["red", "ADJ"], ["cat", "NOUN"]], "noun_chunks": ["a red cat"]}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.perception import Parse, Phrases, Token
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.jsonl import dump, read_rows
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
_FROZEN = ", frozen"


class Settings(StrictSettings):
    """The file."""

    path: Path


class FrozenPhrases:
    """See `gotr1_eval.core.perception.Phrases`; named after the source of the parses."""

    def __init__(self, path: Path) -> None:
        """Raises DataError for a line that is no parse, or for parses of several sources."""
        self.path = path
        self.fingerprint = _content_fingerprint(path)
        self._parses: dict[str, Parse] = {}
        sources: dict[str, None] = {}
        for line, row in read_rows(path, ours=False):
            try:
                prompt, source, parse = _read(row)
            except (KeyError, TypeError, ValueError) as error:
                message = f"expected prompt, source, tokens and noun_chunks ({one_line(repr(error))})"
                raise DataError(message, path=path, line=line) from None
            self._parses[prompt] = parse
            sources[source] = None
        if len(sources) != 1:
            raise DataError(f"expected parses of one source, got {', '.join(sources) or 'none'}", path=path)
        self.name = f"{next(iter(sources))}{_FROZEN}"

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        """One parse a prompt.

        Raises:
            DataError: the file holds no parse of a prompt.
        """
        absent = next((prompt for prompt in prompts if prompt not in self._parses), None)
        if absent is not None:
            raise DataError(f"no parse of {one_line(absent, 80)!r}; freeze the parses of all prompts", path=self.path)
        return [self._parses[prompt] for prompt in prompts]


def _content_fingerprint(path: Path) -> str:
    """Of the file as it is read."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    return fingerprint({"phrases": "frozen", "version": VERSION, "file": digest})


def _read(row: Mapping[str, Any]) -> tuple[str, str, Parse]:
    prompt, source, chunks = row["prompt"], row["source"], row["noun_chunks"]
    tokens = tuple(Token(text, pos) for text, pos in row["tokens"])
    texts = [prompt, source, *chunks, *(part for token in tokens for part in (token.text, token.pos))]
    if not isinstance(chunks, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError("a text was expected")
    return prompt, source, Parse(tokens, tuple(chunks))


def freeze(phrases: Phrases, prompts: Sequence[str], path: Path) -> int:
    """Write the parses of the prompts, each once and with their source's name; returns how many.

    Parses that were frozen before keep the name of their first source.
    """
    unique = list(dict.fromkeys(prompts))
    rows = [
        {
            "prompt": prompt,
            "source": phrases.name.removesuffix(_FROZEN),
            "tokens": [[token.text, token.pos] for token in parse.tokens],
            "noun_chunks": list(parse.noun_chunks),
        }
        for prompt, parse in zip(unique, phrases.parse(unique), strict=True)
    ]
    write_atomically(path, "".join(f"{dump(row)}\n" for row in rows))
    return len(rows)


def build(settings: Settings, workshop: Workshop) -> FrozenPhrases:
    """The parses; needs nothing from the workshop."""
    return FrozenPhrases(settings.path)
