"""A language-vision model that answers by what a question holds, as a JSON file says; nobody sees its pictures."""

from __future__ import annotations

import json
from pathlib import Path

from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Settings as StrictSettings
from tests.fakes import ScriptedVlm


class Settings(StrictSettings):
    """The file, ``{part of a question: answer}``, the first that fits; and what the model is called."""

    answers: Path
    name: str = "scripted"


def build(settings: Settings, workshop: Workshop) -> ScriptedVlm:
    answers = json.loads(settings.answers.read_text(encoding="utf-8"))

    def answer(request: Request) -> str:
        return next((said for part, said in answers.items() if part in request.prompt), "")

    vlm = ScriptedVlm(answer)
    vlm.name = settings.name
    return vlm
