"""A language-vision model that always says the same."""

from __future__ import annotations

import math

from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Settings as StrictSettings
from tests.fakes import ScriptedVlm


class Settings(StrictSettings):
    """What it says; to choices it gives equal chances."""

    reply: str = '{"score": 5}'


def build(settings: Settings, workshop: Workshop) -> ScriptedVlm:
    def answer(request: Request) -> Reply:
        even = tuple(-math.log(len(request.choices)) for _ in request.choices)
        return Reply(text="" if even else settings.reply, model="scripted", choice_log_probs=even)

    return ScriptedVlm(answer)
