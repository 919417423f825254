"""LongText-Bench's prompts: 160 English and 160 Chinese, each with the texts that its picture should show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.longtext.texts import Language
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.types import Json
from gotr1_eval.files.jsonl import read_rows

FACT = "longtext"
"""The key of `Sample.meta` that holds a prompt's id and texts."""
FILES: Mapping[Language, str] = {"en": "text_prompts.jsonl", "zh": "text_prompts_zh.jsonl"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, and what should be written in its picture."""

    language: Language
    prompt_id: int
    text: tuple[str, ...]
    prompt: str = ""

    def fact(self) -> dict[str, Json]:
        """As `Sample.meta` holds it."""
        row = asdict(self)
        del row["prompt"]
        return {**row, "text": list(self.text)}


def read_prompts(folder: Path, language: Language) -> list[Prompt]:
    """The prompts of a language, in the order of the file.

    Raises:
        DataError: the file is missing or another one.
    """
    path = folder / FILES[language]
    prompts = []
    for line, row in read_rows(path, ours=False):
        known = read_fact({**row, "language": language})
        if known is None or not isinstance(row.get("prompt"), str):
            raise DataError("expected prompt, prompt_id and text, a list of texts", path=path, line=line)
        prompts.append(Prompt(language, known.prompt_id, known.text, str(row["prompt"])))
    if len({one.prompt_id for one in prompts}) < len(prompts) or not prompts:
        raise DataError("expected prompts with an id each", path=path)
    return prompts


def read_fact(fact: Json) -> Prompt | None:
    """The prompt of a sample's fact; None where it is none."""
    row: Any = fact
    if not isinstance(row, dict) or row.get("language") not in FILES or type(row.get("prompt_id")) is not int:
        return None
    text = row.get("text")
    if not isinstance(text, list) or not all(isinstance(one, str) for one in text):
        return None
    return Prompt(row["language"], row["prompt_id"], tuple(text))
