"""A language-vision model that is asked for first tokens: the checks of yes-no models, on its yes against its no."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from PIL import Image

from benchmarks.doctor.checks import Check
from benchmarks.doctor.yes_no import yes_no_checks
from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.protocols import Request, Vlm

_YES, _NO = ("Yes", "yes", " yes", " Yes"), ("No", "no", " no", " No")


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
    """Those of `benchmarks.doctor.yes_no`."""
    yield from yes_no_checks(AskedYesNo(vlm))
