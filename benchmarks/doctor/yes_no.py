"""A model that answers yes or no, asked about drawings: is "yes" likelier where it is true?

Each thing is asked about in every scene. A question's answers are compared with one another, so that neither a model
that likes a word nor one that likes a picture gets more than half of the pairs right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from benchmarks.doctor.checks import Array, Check, batch_is_single, same_twice, sound
from benchmarks.doctor.drawings import everyday
from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.perception import YesNo
from gotr1_eval.core.protocols import Request, Vlm

LEAST_RIGHT = 0.9
"""Share of the pairs; random weights are right in about half."""
TOLERANCE = 1e-3
"""In probability."""
_YES, _NO = ("Yes", "yes", " yes", " Yes"), ("No", "no", " no", " No")


def yes_no_checks(model: YesNo) -> Iterator[Check]:
    """True above false, numbers, repetition and batches."""
    drawings = everyday().drawings
    pictures, names = [drawing.picture for drawing in drawings], everyday().names
    questions = [f"a {name}?" for name in names]
    answers = model.probability(pictures, [questions] * len(pictures))
    shaped = [len(row) for row in answers] == [len(questions)] * len(pictures)
    if shaped:
        holds = [[name in [thing.name for thing in drawing.things] for name in names] for drawing in drawings]
        yield _true_above_false(np.array(answers), np.array(holds))
    yield sound(_faults(answers, shaped=shaped), f"{len(questions)} questions about each of {len(pictures)} pictures")
    again = model.probability(pictures, [questions] * len(pictures))
    yield same_twice([np.array(row) for row in answers], [np.array(row) for row in again])
    singles = [_one_by_one(model, place, questions) for place in range(len(pictures))]
    yield batch_is_single([np.array(row) for row in answers], singles, TOLERANCE, "probabilities")


def _one_by_one(model: YesNo, place: int, questions: list[str]) -> Array:
    """One picture and one question at a time: the first two questions, the others at once."""
    picture = everyday().drawings[place].picture
    parts = [questions[:1], questions[1:2], questions[2:]]
    return np.array([answer for part in parts for answer in model.probability([picture], [part])[0]])


def _true_above_false(answers: Array, holds: np.ndarray) -> Check:
    """Pairs of two pictures and one question, true of the first and false of the second."""
    pairs = [
        (answers[i, question], answers[j, question])
        for question in range(answers.shape[1])
        for i in np.flatnonzero(holds[:, question])
        for j in np.flatnonzero(~holds[:, question])
    ]
    right = sum(bool(true > false) for true, false in pairs)
    detail = f"true above false in {right} of {len(pairs)} pairs"
    return Check("sees drawings", right >= LEAST_RIGHT * len(pairs), detail)


def _faults(answers: list[list[float]], *, shaped: bool) -> list[str]:
    if not shaped:
        return [f"expected an answer a question, got {[len(row) for row in answers]}"]
    values = np.array(answers, dtype=np.float64)
    wrong = values[~((values >= 0) & (values <= 1))]
    return [f"a probability outside [0, 1]: {wrong[0]}"] if wrong.size else []


class AskedYesNo:
    """See `gotr1_eval.core.perception.YesNo`; a question such as "a cat?" is put into a sentence."""

    def __init__(self, vlm: Vlm) -> None:
        self._vlm = vlm
        self.name = vlm.name
        self.fingerprint = vlm.fingerprint

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        """The probability of a yes, renormalised over yes and no; unlisted tokens of a server count 0."""
        requests = [
            Request(prompt=f"Does the picture show {text} Answer yes or no.", images=(image,), first_tokens=_YES + _NO)
            for image, asked in zip(images, questions, strict=True)
            for text in asked
        ]
        answers = iter([_chance(reply) for reply in self._vlm.reply(requests)])
        return [[next(answers) for _ in asked] for asked in questions]


def _chance(reply: Reply | Unscored) -> float:
    if isinstance(reply, Unscored):
        raise BackendError(reply.detail)
    yes, no = (
        math.fsum(math.exp(log_prob) for form in forms if (log_prob := reply.first_tokens.get(form)) is not None)
        for forms in (_YES, _NO)
    )
    return yes / (yes + no) if yes + no else math.nan


def asked_checks(vlm: Vlm) -> Iterator[Check]:
    """The same of a language-vision model that is asked for first tokens: its yes against its no."""
    yield from yes_no_checks(AskedYesNo(vlm))
