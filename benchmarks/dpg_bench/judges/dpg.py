"""DPG-Bench's score of a picture: the share of its questions that mPLUG, or another yes-no model, answers with yes."""

from __future__ import annotations

from pydantic import Field

from benchmarks.checklist.answering import AnswererVlm
from benchmarks.checklist.asking import OneByOne
from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.dpg_bench.crops import CELLS
from benchmarks.dpg_bench.judging import is_yes, procedure
from benchmarks.semantics import Semantics
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

MOST_TOKENS = 10
"""Of an answer of mPLUG's."""


class Settings(StrictSettings):
    """Who answers, and how a sample's picture is cut.

    Attributes:
        yes_no: the model; the benchmark's own is `mplug`.
        grid: the picture is a 2x2 grid of four pictures.
        resolution: side of a cell in pixels, the script's ``--resolution``; None for half the grid's width.
        pictures: cells of a grid that are looked at, the script's ``--pic-num``.
    """

    yes_no: Component
    semantics: Semantics = "reference"
    grid: bool = False
    resolution: int | None = Field(None, ge=1)
    pictures: int = Field(CELLS, ge=1, le=CELLS)


def build(settings: Settings, workshop: Workshop) -> ChecklistJudge:
    """The judge; its model loads when it is first asked."""
    asking = OneByOne(
        write=lambda case, question: Request(prompt=question.text, max_tokens=MOST_TOKENS), read=is_yes, reader="exact"
    )
    rules = procedure(
        "dpg", asking, settings.semantics, grid=settings.grid, resolution=settings.resolution,
        pictures=settings.pictures,
    )  # fmt: skip
    return ChecklistJudge(AnswererVlm(workshop.yes_no(settings.yes_no)), rules)
