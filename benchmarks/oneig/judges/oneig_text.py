"""OneIG-Bench's text score of a picture: edit distance, exactness and matched words of what a reader finds in it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.oneig.grids import encoding, read_size
from benchmarks.oneig.prompts import TEXT
from benchmarks.oneig.texts import CAPS, TOKENS, answer_tokens, compare, text_score
from benchmarks.semantics import Semantics
from benchmarks.text_judge import TextJudge, TextMetric, official_readers
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.wording import SourceFile
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
SCRIPT = "inference.py"


class Settings(StrictSettings):
    """Who reads; the benchmark's own is `vlm` with Qwen2.5-VL-7B-Instruct. Others as of `oneig_alignment`."""

    ocr: Component
    data: Path | None = None
    semantics: Semantics = "reference"
    grid: str = "1x1"


def build(settings: Settings, workshop: Workshop) -> TextJudge:
    """The judge; its reader loads when it is first asked."""

    def request() -> str:
        return str(SourceFile(require_data("oneig", settings.data) / SCRIPT).attribute("TEXT_PROMPT"))

    def outcome(sample: Sample, read: Sequence[str]) -> Outcome:
        return _outcome(sample.meta[TEXT], read, settings.semantics)

    metric = TextMetric(
        metric="oneig_text",
        fact=TEXT,
        compare=outcome,
        semantics=settings.semantics,
        encoding=encoding(settings.semantics, *read_size(settings.grid)),
        facts={"version": VERSION},
    )
    readers = official_readers(workshop, settings.ocr, request, "OneIG", TOKENS)
    return TextJudge(metric, readers, lambda sample: answer_tokens(gold_of(sample.meta[TEXT]) or ""))


def gold_of(fact: Json) -> str | None:
    """The wanted text of a fact; None where it is none."""
    gold = fact.get("gold") if isinstance(fact, Mapping) else None
    return gold if isinstance(gold, str) and fact_language(fact) is not None else None


def fact_language(fact: Any) -> str | None:  # noqa: ANN401 - a fact of any shape
    """Its language; None where it is none."""
    language = fact.get("language") if isinstance(fact, Mapping) else None
    return language if language in CAPS else None


def _outcome(fact: Any, read: Sequence[str], semantics: Semantics) -> Outcome:  # noqa: ANN401
    gold = gold_of(fact)
    if gold is None:
        return Unscored(why=Why.NO_INPUT, detail="expected a text of OneIG-Bench, got another fact")
    cells = [compare(gold, one, semantics) for one in read]
    distance, exact = statistics.fmean(one.distance for one in cells), statistics.fmean(one.exact for one in cells)
    matched, wanted = sum(one.match.matched for one in cells), sum(one.match.wanted for one in cells)
    accuracy = matched / wanted if wanted else 0.0
    parts = {
        "edit distance": distance, "exact": exact, "matched": matched, "wanted": wanted, "pictures": len(cells),
    }  # fmt: skip
    return Score(value=text_score(distance, exact, accuracy, fact["language"]), parts=parts)
