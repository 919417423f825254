"""Stand-ins for models: an exact generator of the shapes world, scripted judges and grounders."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from PIL import Image

from gotr1_eval.core.outcome import Outcome, Reply, Unscored
from gotr1_eval.core.protocols import Generated, Grounding, LooksAt, Request
from gotr1_eval.core.types import Detection, Sample
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import scene_for, write_scene_chain
from gotr1_eval.shapes.statements import read_prompt


class OracleGenerator:
    """A generator that plans and draws every prompt of the shapes world as it should be."""

    name = "oracle"
    fingerprint = "oracle-1"

    def __init__(self, seconds_a_call: float = 0.0) -> None:
        self.calls: list[list[str]] = []
        self.seconds_a_call = seconds_a_call

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        self.calls.append(list(prompts))
        time.sleep(self.seconds_a_call)
        made = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            statement = read_prompt(prompt)
            assert statement is not None, prompt
            scene = scene_for(statement, random.Random(seed))
            made.append(Generated(image=draw_scene(scene), chain=write_scene_chain(scene, statement)))
        return made


class ScriptedJudge:
    """Answers with what a function makes of each sample, and remembers what it was asked."""

    range = (0.0, 1.0)
    may_not_apply = False
    looks_at: LooksAt | None = None
    needs = frozenset[str]()
    model_calls = 1

    def __init__(self, answer: Callable[[Sample], Outcome], name: str = "scripted") -> None:
        self.answer = answer
        self.name = name
        self.fingerprint = f"{name}-1"
        self.asked: list[str] = []

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        self.asked += [sample.id for sample in samples]
        return [self.answer(sample) for sample in samples]


class ScriptedGrounder:
    """Finds what it is told to find."""

    name = "scripted"
    fingerprint = "scripted-1"

    def __init__(self, found: Sequence[Detection] | Unscored) -> None:
        self.found = found
        self.asked: list[list[str]] = []

    def calls(self, names: int) -> int:
        return names

    def ground(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        self.asked += [list(wanted) for wanted in names]
        if isinstance(self.found, Unscored):
            return [self.found for _ in images]
        return [Grounding(tuple(seen for seen in self.found if seen.label in wanted)) for wanted in names]


class ScriptedVlm:
    """Replies with what a function makes of each request, and remembers the requests."""

    name = "scripted"
    fingerprint = "scripted-1"

    def __init__(self, answer: Callable[[Request], str | Reply | Unscored], *, scores_choices: bool = True) -> None:
        self.answer = answer
        self.scores_choices = scores_choices
        self.requests: list[Request] = []

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        return (1000.0, 1000.0)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        self.requests += requests
        answers = [self.answer(request) for request in requests]
        return [Reply(text=a, model=self.name) if isinstance(a, str) else a for a in answers]
