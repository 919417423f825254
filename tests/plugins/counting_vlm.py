"""A language-vision model whose score says how often it has been asked, all its copies together."""

from __future__ import annotations

from itertools import count

from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Settings as StrictSettings
from tests.fakes import ScriptedVlm

_asked = count(1)


class Settings(StrictSettings):
    """Nothing to set."""


def build(settings: Settings, workshop: Workshop) -> ScriptedVlm:
    def answer(request: Request) -> str:
        return f'{{"score": {1 + next(_asked) % 10}}}'

    return ScriptedVlm(answer)
