"""Another language-vision model, asked as often before: for test and retest.

A repeat is never answered from a cache, and samples with another seed than the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from gotr1_eval.core.forms import constrains
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.protocols import Request, Vlm, Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Which model, and how often it has been asked before.

    Attributes:
        vlm: the model, ``{use = "qwen", ...}``.
        repeat: the number of the repeat; 0 is the first time.
    """

    vlm: Component
    repeat: Annotated[int, Field(ge=0)]


class RepeatedVlm:
    """The model with every request marked as a repeat; see `gotr1_eval.core.protocols.Vlm`."""

    def __init__(self, vlm: Vlm, repeat: int) -> None:
        self._vlm = vlm
        self._repeat = repeat

    @property
    def name(self) -> str:
        """The model's own."""
        return self._vlm.name

    @property
    def fingerprint(self) -> str:
        """The model's own: being asked again does not change it."""
        return self._vlm.fingerprint

    @property
    def scores_choices(self) -> bool:
        """The model's own."""
        return self._vlm.scores_choices

    def constrains(self) -> bool:
        """Whether the model's answers are made to follow a form."""
        return constrains(self._vlm)

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """The model's own."""
        return self._vlm.box_frame(size)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order."""
        return self._vlm.reply([replace(request, repeat=self._repeat) for request in requests])


def build(settings: Settings, workshop: Workshop) -> RepeatedVlm:
    """The model of the settings, built by the workshop."""
    return RepeatedVlm(workshop.vlm(settings.vlm), settings.repeat)
