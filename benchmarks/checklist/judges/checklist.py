"""Soft-TIFA on any prompt with questions: is each answered as expected? Also in words, one by one or together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmarks.checklist.asking import AllAtOnce, Asking, Case, OneByOne
from benchmarks.checklist.encoding import AsItIs, Jpeg
from benchmarks.checklist.first_tokens import FirstTokens, forms_of, spelled_words
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.checklist.reading import lenient_json, strict_json
from benchmarks.checklist.words import lenient_word, strict_word
from gotr1_eval.core.checklist import QUESTIONS, Dependency, Question, Within
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.prompt_file import PromptFile

VERSION = 2
ONE_WORD = 8
"""Tokens of an answer of one word."""
EACH = 24
"""Tokens of an answer's entry a question."""


class Settings(StrictSettings):
    """Who is asked, how, and how the verdicts add up.

    Attributes:
        vlm: the model.
        fact: of the prompts, that holds their questions.
        mode: first_tokens gives probabilities and needs a model that tells them; one_by_one and all_at_once give words.
        reader: of words.
        within: the rule within a picture; `gotr1_eval.core.checklist` has them.
        jpeg: the picture goes through JPEG of this quality first; None leaves its pixels alone.
        prompt_file: the user's own wording, with the markers of ``checklist.txt`` or ``checklist_all.txt``.
    """

    vlm: Component
    fact: str = QUESTIONS
    mode: Literal["first_tokens", "one_by_one", "all_at_once"] = "first_tokens"
    reader: Literal["strict", "lenient"] = "lenient"
    dependency: Dependency = "none"
    within: Within = "mean"
    jpeg: int | None = Field(None, ge=1, le=100)
    prompt_file: Path | None = None


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge with its model."""
    vlm = workshop.vlm(settings.vlm)
    together = settings.mode == "all_at_once"
    wording = PromptFile(
        "checklist_all" if together else "checklist",
        settings.prompt_file,
        frozenset({"questions", "answer"} if together else {"question"}),
    )
    own = f", own prompt {wording.digest}" if settings.prompt_file else ""
    procedure = Procedure(
        metric="checklist",
        asking=_asking(settings, wording),
        fact=settings.fact,
        dependency=settings.dependency,
        within=settings.within,
        encoding=AsItIs() if settings.jpeg is None else Jpeg(settings.jpeg),
        facts={"version": VERSION, "prompt": wording.text, "fact": settings.fact},
    )
    return ChecklistJudge(vlm, procedure, f"{model_label(vlm, settings.vlm)}{own}")


def _asking(settings: Settings, wording: PromptFile) -> Asking:
    strict = settings.reader == "strict"

    def write(case: Case, question: Question) -> Request:
        return Request(prompt=wording.fill({"question": question.text}), max_tokens=ONE_WORD)

    def write_all(case: Case) -> Request:
        listed = "\n".join(f"{question.id}: {question.text}" for question in case.questions)
        keys = ", ".join(f'{json.dumps(question.id)}: "yes or no"' for question in case.questions)
        answer = (
            "Say of each whether it is answered as follows, with yes or no: "
            + "; ".join(f"{question.id}: {' or '.join(question.answers)}" for question in case.questions)
            + f". Reply with one JSON object and nothing else: {{{keys}}}"
        )
        text = wording.fill({"questions": listed, "answer": answer})
        return Request(prompt=text, max_tokens=EACH * len(case.questions))

    if settings.mode == "first_tokens":
        return FirstTokens(write=write, forms=lambda question: forms_of(question.answers))
    if settings.mode == "one_by_one":
        read = strict_word if strict else lenient_word
        return OneByOne(
            write=write, read=lambda reply, question: read(reply, spelled_words(question)), reader=settings.reader
        )
    return AllAtOnce(write=write_all, read=strict_json if strict else lenient_json, reader=settings.reader)
