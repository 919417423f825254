"""The asking mode that decodes nothing: how likely does the answer begin with a token of a right one?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.checklist.asking import Case, Said, WriteOne, unanswered, whole
from gotr1_eval.core.checklist import NUMBERS, Question
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.protocols import Answers, Request, Vlm


def forms_of(answers: Sequence[str]) -> tuple[str, ...]:
    """The texts with which a right answer may begin: the words as they are and capitalised, each also behind a blank.

    A count is also its digits, without a blank, which is a token of its own in many vocabularies.
    """
    words = [answer.lower() for answer in answers]
    digits = [NUMBERS[word] for word in words if word in NUMBERS]
    spelled = [form for word in words for form in (word, word.capitalize(), f" {word}", f" {word.capitalize()}")]
    return tuple(dict.fromkeys((*spelled, *digits)))


def spelled_words(question: Question) -> Question:
    """The question with the digits of a count among the words that answer it."""
    digits = (NUMBERS[answer.lower()] for answer in question.answers if answer.lower() in NUMBERS)
    return replace(question, answers=(*question.answers, *digits))


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTokens:
    """One question a call; its verdict is the summed probability of the tokens that begin a right answer.

    Attributes:
        forms: of a question, the texts whose first tokens are summed; a text that is listed twice counts twice.
        instead_of: of a question, the forms of all answers over which the probability is renormalised; None for none.
        single: probabilities are rounded to float32, as PyTorch's softmax gives them: below 7e-46 they are 0.
    """

    write: WriteOne
    forms: Callable[[Question], tuple[str, ...]]
    instead_of: Callable[[Question], tuple[str, ...]] | None = None
    single: bool = False
    answers: Answers = "choices"

    @property
    def name(self) -> str:
        """``first tokens``, and over what they are renormalised."""
        return "first tokens" if self.instead_of is None else "first tokens renormalised"

    def requests(self, case: Case) -> list[Request]:
        """One a question."""
        return [self._request(case, question) for question in case.questions]

    def _request(self, case: Case, question: Question) -> Request:
        others = self.instead_of(question) if self.instead_of is not None else ()
        forms = tuple(dict.fromkeys((*self.forms(question), *others)))
        return replace(self.write(case, question), images=(case.picture,), first_tokens=forms)

    def ask(self, vlm: Vlm, cases: Sequence[Case]) -> list[list[Said] | Unscored]:
        """See `Asking`; nothing can be unreadable."""
        requests = [self.requests(case) for case in cases]
        replies = iter(vlm.reply([request for each in requests for request in each]) if requests else ())
        return [whole([self._said(question, next(replies)) for question in case.questions]) for case in cases]

    def _said(self, question: Question, reply: Reply | Unscored) -> Said | Unscored:
        if isinstance(reply, Unscored):
            return unanswered(reply)
        if not reply.first_tokens:
            return Said(verdict=None, replies=(reply,), why="the model told no probabilities")
        forms = Counter(self.forms(question))
        low, high = self._bounds(reply, forms)
        if self.instead_of is not None:
            others = Counter(form for form in set(self.instead_of(question)) if form not in forms)
            other_low, other_high = self._bounds(reply, others)
            low, high = _share(low, other_high), _share(high, other_low)
        bounds = None if reply.unlisted is None else (low, high)
        return Said(verdict=low, bounds=bounds, replies=(reply,))

    def _bounds(self, reply: Reply, forms: Counter[str]) -> tuple[float, float]:
        """The least and the greatest that the probabilities of the forms may come to."""
        there = {form: log_prob for form, log_prob in reply.first_tokens.items() if form in forms}
        listed = [forms[form] * self._probability(log_prob) for form, log_prob in there.items() if log_prob is not None]
        found = min(math.fsum(listed), 1.0)
        if reply.unlisted is None:
            return found, found
        open_ = sum(forms[form] for form, log_prob in there.items() if log_prob is None)
        return found, min(found + open_ * math.exp(reply.unlisted), 1.0)

    def _probability(self, log_prob: float) -> float:
        probability = math.exp(log_prob)
        return float(np.float32(probability)) if self.single else probability


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part else 0.0
