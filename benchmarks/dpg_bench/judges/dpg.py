"""DPG-Bench's score of a picture: the share of its questions that mPLUG, or another yes-no model, answers with yes."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from pydantic import Field

from benchmarks.checklist.asking import OneByOne
from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.dpg_bench.asking import is_yes, procedure
from benchmarks.dpg_bench.crops import CELLS
from benchmarks.semantics import Semantics
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.perception import Answering, YesNo
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


class AnswererVlm:
    """A yes-no model, asked as a language-vision model is (`gotr1_eval.core.protocols.Vlm`).

    It answers in words of its own (`Answering`), or gives the probability of yes, and then the likelier of the two
    words is its answer. The questions about one picture object are asked together.
    """

    scores_choices = False

    def __init__(self, model: YesNo) -> None:
        self._model = model
        self.name = model.name

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self._model.fingerprint

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """Raises UsageError: it answers questions, and with no boxes."""
        raise UsageError(f"{self.name} answers questions about pictures, and knows no boxes")

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """An answer a request; of a request only the prompt and its one picture are looked at."""
        places: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(id(request.images[0]), []).append(place)
        pictures = [requests[group[0]].images[0] for group in places.values()]
        questions = [[requests[place].prompt for place in group] for group in places.values()]
        answers = self._answers(pictures, questions)
        found = {
            place: text
            for group, texts in zip(places.values(), answers, strict=True)
            for place, text in zip(group, texts, strict=True)
        }
        return [Reply(text=found[place], model=self.name) for place in range(len(requests))]

    def _answers(self, pictures: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[str]]:
        if isinstance(self._model, Answering):
            return self._model.answer(pictures, questions)
        chances = self._model.probability(pictures, questions)
        return [["yes" if chance > 0.5 else "no" for chance in each] for each in chances]


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
