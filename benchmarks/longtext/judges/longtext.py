"""LongText-Bench's accuracy of a picture: the share of the wanted words (zh: characters) that were read in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.longtext.prompts import FACT, Prompt, read_fact
from benchmarks.longtext.texts import clean, compare
from benchmarks.semantics import Semantics, UndefinedScoreError, undefined
from benchmarks.text_judge import TextJudge, TextMetric, official_readers
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.authors_wording import SourceFile
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
SCRIPT = "evaluate_text_reward.py"
MOST_TOKENS = 1024
_NAMED = 6
"""Missing words that a note lists."""


class Settings(StrictSettings):
    """Who reads; the benchmark's own is `vlm` with Qwen2.5-VL-7B-Instruct.

    Attributes:
        data: the folder with the authors' script, from which a language-vision model's request is read; None for the
            fetched one.
    """

    ocr: Component
    data: Path | None = None
    semantics: Semantics = "reference"


def build(settings: Settings, workshop: Workshop) -> TextJudge:
    """The judge; its reader loads when it is first asked."""

    def request() -> str:
        return str(SourceFile(require_data("longtext", settings.data) / SCRIPT).attribute("qwen_prompt"))

    def outcome(sample: Sample, read: Sequence[str]) -> Outcome:
        prompt = read_fact(sample.meta[FACT])
        if prompt is None:
            return Unscored(why=Why.NO_INPUT, detail="expected a prompt of LongText-Bench, got another fact")
        return _outcome(prompt, read[0], settings.semantics)

    readers = official_readers(workshop, settings.ocr, request, "X-Omni", [MOST_TOKENS])
    metric = TextMetric(
        metric="longtext", fact=FACT, compare=outcome, semantics=settings.semantics, facts={"version": VERSION}
    )
    return TextJudge(metric, readers, lambda sample: MOST_TOKENS)


def _outcome(prompt: Prompt, read: str, semantics: Semantics) -> Outcome:
    try:
        found = compare(prompt.text, clean(read, semantics), prompt.language, semantics)
    except UndefinedScoreError as error:
        return undefined(error)
    missing = ", ".join(found.unmatched[:_NAMED])
    more = f" and {len(found.unmatched) - _NAMED} more" if len(found.unmatched) > _NAMED else ""
    return Score(
        value=found.matched / found.wanted,
        parts={"matched": found.matched, "wanted": found.wanted},
        note=f"not read: {missing}{more}" if missing else "",
    )
