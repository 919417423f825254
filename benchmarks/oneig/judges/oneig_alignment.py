"""OneIG-Bench's alignment: the share of a prompt's questions that a language-vision model answers with Yes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.checklist.asking import OneByOne
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.checklist.words import lenient_word
from benchmarks.oneig.grids import encoding, read_size
from benchmarks.oneig.prompts import ALIGNMENT, questions_of
from benchmarks.semantics import Semantics
from gotr1_eval.core.checklist import Question
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.files.authors_wording import SourceFile, Template
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
SCRIPT = "inference.py"
SLOT = "question"
MOST_TOKENS = 128


class Settings(StrictSettings):
    """Who is asked; the benchmark's own is Qwen2.5-VL-7B-Instruct.

    Attributes:
        data: the folder with the authors' script, from which the request is read; None for the fetched one.
        grid: columns and rows of a sample's picture, ``2x2``; ``1x1`` for single pictures.
    """

    vlm: Component
    data: Path | None = None
    semantics: Semantics = "reference"
    grid: str = "1x1"


def is_yes(reply: Reply, question: Question) -> float:
    """1 where the answer is ``Yes`` to the letter, else 0: a full stop or lower case is a no, as in the script."""
    return float(reply.text == "Yes")


def read_request(folder: Path) -> Template:
    """The authors' request, with a slot for the question; raises DataError where their script is another one."""
    (template, *_) = SourceFile(folder / SCRIPT).templates("infer_semantic")
    if template.slots != (SLOT,):
        raise DataError(f"expected a request with the slot {SLOT!r}, got {template.slots}", path=folder / SCRIPT)
    return template


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when it is first asked."""
    template = read_request(require_data("oneig", settings.data))
    reference = settings.semantics == "reference"
    vlm = workshop.vlm(settings.vlm)
    asking = OneByOne(
        write=lambda case, question: Request(prompt=template.fill({SLOT: question.text}), max_tokens=MOST_TOKENS),
        read=is_yes if reference else lenient_word,
        reader="exact" if reference else "lenient",
    )
    procedure = Procedure(
        metric="oneig_alignment",
        asking=asking,
        fact=ALIGNMENT,
        questions=lambda sample: questions_of(sample.meta[ALIGNMENT], settings.semantics),
        dependency="direct" if reference else "transitive",
        encoding=encoding(settings.semantics, *read_size(settings.grid)),
        semantics=settings.semantics,
        facts={"version": VERSION, "request": fingerprint({"request": template.fill({SLOT: ""})})},
    )
    return ChecklistJudge(vlm, procedure, model=model_label(vlm, settings.vlm))
