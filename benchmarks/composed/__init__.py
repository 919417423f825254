"""Composed prompts: sentences with questions, made of our own words by a seed, to train on or to try models with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from pydantic import Field

from benchmarks.composed.templates import Composed, Parts, compose
from benchmarks.official import PlainSuite
from gotr1_eval.core.checklist import QUESTIONS, write_questions
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.settings import Settings as StrictSettings

CATEGORIES: dict[str, Parts] = {
    "objects": Parts((1, 3)),
    "attributes": Parts((1, 3), attributes=True),
    "counts": Parts((1, 2), counts=True),
    "relations": Parts((2, 2), relations=True),
    "mixed": Parts((2, 3), attributes=True, counts=True, relations=True),
}


class Settings(StrictSettings):
    """How many prompts, and which.

    Attributes:
        prompts: of each category.
        seed: the prompts follow from it; another one has others.
        most: objects of a counted group.
    """

    prompts: int = Field(300, ge=1)
    seed: int = 0
    most: int = Field(7, ge=2, le=10)


class ComposedSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`; the facts of a prompt are its questions."""

    name = "composed"
    categories = tuple(CATEGORIES)
    reward_set = "soft_tifa"
    images_per_prompt = 1

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts.

        Raises:
            UsageError: more are wanted than there are.
        """
        return [one.text for one in _compose(category, self._settings)]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's checklist under ``questions``."""
        return {QUESTIONS: write_questions(_compose(category, self._settings)[prompt_index].questions)}


@lru_cache(maxsize=32)
def _compose(category: str, settings: Settings) -> Sequence[Composed]:
    try:
        return compose(CATEGORIES[category], settings.prompts, f"{settings.seed}/{category}", settings.most)
    except ValueError as fault:
        raise UsageError(f"composed: {settings.prompts} prompts of {category} are too many ({fault})") from None


def build(settings: Settings, workshop: Workshop) -> ComposedSuite:
    """The suite; its prompts are made when they are asked for."""
    return ComposedSuite(settings)
