"""Another judge, taken for one that asks a server: where its answers come in time is studied, not what they are."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import Judge, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Which judge."""

    judge: Component = Field(default_factory=lambda: {"use": "shapes_prompt_image"})


class AsIfServed:
    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.name, self.range, self.fingerprint = judge.name, judge.range, judge.fingerprint
        self.may_not_apply, self.looks_at, self.needs = judge.may_not_apply, judge.looks_at, judge.needs
        self.model_calls = judge.model_calls

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        return self._judge.judge(samples)

    def ready(self) -> None:
        pass

    def traffic(self) -> str:
        return ""


def build(settings: Settings, workshop: Workshop) -> AsIfServed:
    return AsIfServed(workshop.judge(settings.judge))
