"""GenEval 2's judge: Soft-TIFA, the probability of each question's right answer; also its TIFA and VQAScore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.checklist.asking import Asking, Case, OneByOne
from benchmarks.checklist.first_tokens import FirstTokens, spelled_words
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.checklist.words import lenient_word
from benchmarks.geneval2.prompts import (
    FACTS,
    Wording,
    alternatives,
    forms,
    listed_words,
    read_wording,
    row_of,
)
from benchmarks.semantics import Semantics
from gotr1_eval.core.checklist import Question
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Vlm, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
Method = Literal["soft_tifa_gm", "soft_tifa_am", "tifa", "vqascore"]


class Settings(StrictSettings):
    """Who is asked, and how.

    Attributes:
        vlm: the model; the benchmark's own is Qwen3-VL-8B-Instruct.
        method: of the official script. The geometric mean is its headline; both means are told with either.
        renormalised: probabilities are taken over yes and no, or over one to ten, and not over the whole vocabulary.
        data: folder with the benchmark's script, for its words; None for the fetched one.
    """

    vlm: Component
    method: Method = "soft_tifa_gm"
    renormalised: bool = False
    semantics: Semantics = "reference"
    data: Path | None = None


def soft_tifa(
    vlm: Vlm, wording: Wording, *, method: Method, semantics: Semantics, renormalised: bool, model: str
) -> ChecklistJudge:
    """The judge of one method.

    Args:
        model: what the model is called in the metric's name.
    """

    def write(case: Case, question: Question) -> Request:
        text = question.text if method == "vqascore" else wording.ask(question)
        return Request(prompt=text, max_tokens=1)

    asking: Asking
    if method == "tifa":
        exact = semantics == "reference"
        asking = OneByOne(
            write=write, read=_exact_word if exact else _plain_word, reader="reference" if exact else "lenient"
        )
    else:
        asking = FirstTokens(
            write=write,
            forms=lambda question: forms(question, semantics),
            instead_of=alternatives if renormalised else None,
            single=semantics == "reference",
        )

    def questions(sample: Sample) -> Sequence[Question]:
        row = row_of(sample)
        if method != "vqascore":
            return row.questions
        return (Question(id="prompt", text=wording.ask_whole(row.prompt, semantics), answers=("Yes",)),)

    procedure = Procedure(
        metric=method,
        asking=asking,
        fact=FACTS,
        questions=questions,
        within="geometric_mean" if method == "soft_tifa_gm" else "mean",
        parts={"arithmetic mean": "mean", "geometric mean": "geometric_mean"} if method.startswith("soft") else {},
        semantics=semantics,
        facts={"version": VERSION, "question": wording.question, "whole_prompt": wording.whole_prompt},
    )
    return ChecklistJudge(vlm, procedure, model)


def _exact_word(reply: Reply, question: Question) -> float:
    """TIFA as the script reads it: whatever is not listed is wrong."""
    return float(reply.text.lower() in listed_words(question))


def _plain_word(reply: Reply, question: Question) -> float:
    """TIFA as it is meant: without blanks, and only an answer can be wrong; raises UnreadableReply for what is none."""
    return lenient_word(reply, spelled_words(question))


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge with its model; the words are read when it is built."""
    vlm = workshop.vlm(settings.vlm)
    return soft_tifa(
        vlm,
        read_wording(require_data("geneval2", settings.data)),
        method=settings.method,
        semantics=settings.semantics,
        renormalised=settings.renormalised,
        model=model_label(vlm, settings.vlm),
    )
