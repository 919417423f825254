"""DPG-Bench's questions, answered by a language-vision model: a metric of another name than the published one."""

from __future__ import annotations

from pydantic import Field

from benchmarks.checklist.asking import OneByOne
from benchmarks.checklist.judge import ChecklistJudge, model_label
from benchmarks.checklist.words import lenient_word
from benchmarks.dpg_bench.asking import procedure
from benchmarks.dpg_bench.crops import CELLS
from benchmarks.semantics import Semantics
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

WORDING = "{} Look at the picture and answer with one word, yes or no."
MOST_TOKENS = 16


class Settings(StrictSettings):
    """Who is asked; the other settings as of `dpg`."""

    vlm: Component
    semantics: Semantics = "reference"
    grid: bool = False
    resolution: int | None = Field(None, ge=1)
    pictures: int = Field(CELLS, ge=1, le=CELLS)


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when it is first asked."""
    asking = OneByOne(
        write=lambda case, question: Request(prompt=WORDING.format(question.text), max_tokens=MOST_TOKENS),
        read=lenient_word,
        reader="lenient",
    )
    rules = procedure(
        "dpg_vlm", asking, settings.semantics, grid=settings.grid, resolution=settings.resolution,
        pictures=settings.pictures,
    )  # fmt: skip
    vlm = workshop.vlm(settings.vlm)
    return ChecklistJudge(vlm, rules, model=model_label(vlm, settings.vlm))
