"""Answers questions about drawings of the shapes world, computed: no model, and the path of one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gotr1_eval.core.checklist import NUMBERS
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.models.vlms.stepwise import LEAST
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes import detecting
from gotr1_eval.shapes.questions import answer_question

VERSION = 1


class Settings(StrictSettings):
    """Nothing to set."""


class ShapesVlm:
    """See `gotr1_eval.core.protocols.Vlm`; knows the questions of `gotr1_eval.shapes.questions`, one a request."""

    name = "shapes"
    fingerprint = f"shapes-questions-{VERSION}-{detecting.VERSION}"
    scores_choices = True

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """(1000, 1000); it answers no boxes."""
        return (1000.0, 1000.0)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """The answer in a word, or as certain probabilities; Unscored for what is no question of the shapes world."""
        return [_reply(request) for request in requests]


def _reply(request: Request) -> Reply | Unscored:
    asked = request.followups[-1][1] if request.followups else request.prompt
    answer = answer_question(asked, request.images[0]) if len(request.images) == 1 else None
    if answer is None:
        detail = "one picture and one question of the shapes world are needed (see gotr1_eval.shapes.questions)"
        return Unscored(why=Why.UNREADABLE, detail=detail)
    said = {answer, NUMBERS.get(answer, answer)}
    if request.first_tokens:
        right = [form for form in request.first_tokens if form.strip().lower() in said]
        chances = {form: -math.log(len(right)) if form in right else LEAST for form in request.first_tokens}
        return Reply(text="", model="shapes", finish="first_tokens", first_tokens=chances)
    if request.choices:
        logs = tuple(0.0 if choice.strip().lower() in said else LEAST for choice in request.choices)
        return Reply(text="", model="shapes", finish="choices", choice_log_probs=logs)
    return Reply(text=answer, model="shapes", finish="stop")


def build(settings: Settings, workshop: Workshop) -> ShapesVlm:
    """The answerer; needs nothing."""
    return ShapesVlm()
