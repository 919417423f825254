"""OneIG-Bench's text score of a picture: edit distance, exactness and matched words of what a reader finds in it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.oneig.grids import encoding, read_size
from benchmarks.oneig.prompts import TEXT, gold_of
from benchmarks.oneig.texts import TOKENS, answer_tokens, compare, text_score
from benchmarks.semantics import Semantics
from benchmarks.text_judge import TextJudge, TextMetric, official_readers
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.authors_wording import SourceFile
from gotr1_eval.files.public_data import require_data
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
