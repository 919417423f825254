"""The shapes suite: prompts over coloured shapes in T2I-CompBench's categories, with computed judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.official import PlainSuite
from gotr1_eval.core.checklist import QUESTIONS, write_questions
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes.prompts import CATEGORIES, Split, prompts
from gotr1_eval.shapes.questions import statement_questions
from gotr1_eval.shapes.statements import read_prompt


class Settings(StrictSettings):
    """Which of the two disjoint prompt lists."""

    split: Split = "val"


class ShapesSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`."""

    categories = CATEGORIES
    reward_set = "shapes"
    images_per_prompt = 2

    def __init__(self, split: Split = "val") -> None:
        self.split: Split = split
        self.name = "shapes" if split == "val" else f"shapes-{split}"

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts of this split."""
        return prompts(category, self.split)

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's questions under ``questions``; their answers follow from what is drawn."""
        statement = read_prompt(self.prompts(category)[prompt_index])
        return {QUESTIONS: write_questions(statement_questions(statement))} if statement is not None else {}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """The detector of drawn shapes."""
        return {"detector": {"use": "shapes"}}


def build(settings: Settings, workshop: Workshop) -> ShapesSuite:
    """The suite."""
    return ShapesSuite(settings.split)
