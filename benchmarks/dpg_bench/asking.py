"""What both judges of DPG-Bench do with a picture's questions, whoever answers them.

A question whose parent is a no becomes a no itself, in the order of the file: a parent that became one counts, and one
that stands further down does so by its own answer, before anything denied it. `corrected` puts parents first; one that
is not there denies nothing.
"""

from __future__ import annotations

from benchmarks.checklist.asking import Asking
from benchmarks.checklist.encoding import AsItIs, Encoding, Grid
from benchmarks.checklist.judge import Procedure
from benchmarks.dpg_bench.crops import CELLS, OfficialCrops
from benchmarks.dpg_bench.propositions import FACT, questions_of, read_fact
from benchmarks.semantics import Semantics
from gotr1_eval.core.checklist import Question
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.types import Sample

VERSION = 1


def is_yes(reply: Reply, question: Question) -> float:
    """1 where the answer is ``yes`` to the letter, else 0; every other answer is a no, as in the script."""
    return float(reply.text == "yes")


def procedure(
    metric: str, asking: Asking, semantics: Semantics, *, grid: bool, resolution: int | None, pictures: int = CELLS
) -> Procedure:
    """The procedure of a metric on DPG-Bench's items.

    Args:
        grid: a sample's picture is a 2x2 grid.
        resolution: side of a cell; None for half the grid's width.
        pictures: cells that are looked at.
    """

    def questions(sample: Sample) -> tuple[Question, ...]:
        return questions_of(read_fact(sample.meta[FACT]), semantics)

    return Procedure(
        metric=metric,
        asking=asking,
        fact=FACT,
        questions=questions,
        dependency="transitive",
        unknown_parents="refused" if semantics == "reference" else "ignored",
        within="mean",
        encoding=_encoding(semantics, resolution, pictures) if grid else AsItIs(),
        semantics=semantics,
        facts={"version": VERSION},
    )


def _encoding(semantics: Semantics, resolution: int | None, pictures: int) -> Encoding:
    if semantics == "corrected" and resolution is None and pictures == CELLS:
        return Grid(2, 2)
    return OfficialCrops(resolution, pictures)
