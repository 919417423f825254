"""Noun phrases from spaCy's en_core_web_sm, which the official scripts use; needs the extra `spacy` and the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol, cast

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.perception import Parse, Token
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1


class Settings(StrictSettings):
    """Which of spaCy's pipelines: a package's name or a folder."""

    model: str = "en_core_web_sm"


class _Pipeline(Protocol):
    """What is used of a spaCy pipeline."""

    meta: Mapping[str, object]

    def pipe(self, texts: Sequence[str]) -> Iterable[Any]: ...


class SpacyPhrases:
    """See `gotr1_eval.core.perception.Phrases`; the pipeline is loaded once, when first needed."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.name = "spacy" if model == Settings().model else f"spacy {model}"

    @cached_property
    def _pipeline(self) -> _Pipeline:
        """Raises UsageError where spaCy or its model is not installed."""
        try:
            return cast(_Pipeline, import_module("spacy").load(self.model))
        except ImportError:
            raise UsageError(
                "phrases 'spacy': spaCy is not installed; pip install 'gotr1-eval[spacy]', or use --phrases builtin"
            ) from None
        except OSError as error:
            raise UsageError(
                f"phrases 'spacy': the model {self.model!r} cannot be loaded; python -m spacy download {self.model} "
                f"({one_line(error, 100)})"
            ) from None

    @property
    def fingerprint(self) -> str:
        """Of spaCy's and the model's version."""
        meta = self._pipeline.meta
        versions = {key: str(meta.get(key)) for key in ("lang", "name", "version", "spacy_version")}
        return fingerprint({"phrases": "spacy", "version": VERSION, "model": self.model, "made_by": str(versions)})

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        """One parse a prompt."""
        return [
            Parse(
                tuple(Token(token.text, token.pos_) for token in document),
                tuple(chunk.text for chunk in document.noun_chunks),
            )
            for document in self._pipeline.pipe(prompts)
        ]


def build(settings: Settings, workshop: Workshop) -> SpacyPhrases:
    """The parser; needs nothing from the workshop."""
    return SpacyPhrases(settings.model)
