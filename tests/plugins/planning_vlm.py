"""A language model that plans every request of the shapes world as it should be, and refuses some."""

from __future__ import annotations

import json
import random
import re

from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes.layout import scene_for, write_scene_chain
from gotr1_eval.shapes.statements import read_prompt
from tests.fakes import ScriptedVlm

REFUSAL = "I would rather not."
_REQUEST = re.compile(r'^Request: (".*")$', re.MULTILINE)


class Settings(StrictSettings):
    """A word; requests that hold it are refused."""

    refuses: str = "cross"


def plan(prompt: str) -> str:
    """The chain of the request."""
    statement = read_prompt(prompt)
    assert statement is not None, prompt
    return write_scene_chain(scene_for(statement, random.Random(prompt)), statement)


def build(settings: Settings, workshop: Workshop) -> ScriptedVlm:
    def answer(request: Request) -> str:
        prompt = json.loads(_REQUEST.findall(request.prompt)[-1])
        return REFUSAL if settings.refuses in prompt else plan(prompt)

    return ScriptedVlm(answer)
