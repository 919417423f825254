"""The asking modes: from the questions of pictures to requests, and from replies to verdicts.

    FirstTokens      the probability that the answer begins with one of the listed tokens; nothing is decoded
    OneByOne         one question a call
    AllAtOnce        all questions of a picture in one call
    DescribeFirst    the model describes the picture, and is asked in the same conversation (by either of the two above)

What is asked is the benchmark's: each mode is given functions that write requests (without pictures, which are added
here) and read replies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image

from gotr1_eval.core.checklist import NUMBERS, Question, Verdict
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Answers, Request, Vlm
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample


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


@dataclass(frozen=True, slots=True)
class Case:
    """A picture as the model is shown it, with the questions about it and the sample that it is of."""

    sample: Sample
    picture: Image.Image
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of one question.

    Attributes:
        verdict: in [0, 1]; None where it was not answered.
        bounds: (lowest, highest) that the verdict may be; the verdict is the lowest. None where it is known.
        why: it was not answered, in words.
    """

    verdict: Verdict
    bounds: tuple[float, float] | None = None
    replies: tuple[Reply, ...] = ()
    why: str = ""


class Asking(Protocol):
    """A mode of asking."""

    @property
    def name(self) -> str:
        """What the mode and its reader are called in the name of a metric."""
        ...

    @property
    def answers(self) -> Answers:
        """How the model's answers come about."""
        ...

    def requests(self, case: Case) -> list[Request]:
        """The questions that one picture takes, re-asks aside; of `DescribeFirst` the description is one of them."""
        ...

    def ask(self, vlm: Vlm, cases: Sequence[Case]) -> list[list[Said] | Unscored]:
        """For each picture what came of each of its questions; `Unscored(BACKEND)` where the model failed on one."""
        ...


WriteOne = Callable[[Case, Question], Request]
WriteAll = Callable[[Case], Request]
ReadOne = Callable[[Reply, Question], Verdict]
"""Raises `UnreadableReply` where the reply holds no verdict and the question is to be asked again; None otherwise."""
ReadAll = Callable[[Reply, Sequence[Question]], Sequence[Verdict]]
Retry = Callable[[Request, int], Request]
"""(The request as it was first sent, how often it was sent before) -> what is sent next."""


def again(request: Request, times: int) -> Request:
    """The same question once more, never from a cache, and with another seed where it is sampled."""
    return replace(request, repeat=times)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTokens:
    """One question a call; its verdict is the summed probability of the tokens that begin a right answer.

    Attributes:
        forms: of a question, the texts whose first tokens are summed, each token once.
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
        return [
            whole([self._said(question, next(replies)) for question in case.questions]) for case in cases
        ]  # fmt: skip

    def _said(self, question: Question, reply: Reply | Unscored) -> Said | Unscored:
        if isinstance(reply, Unscored):
            return unanswered(reply)
        if not reply.first_tokens:
            return Said(verdict=None, replies=(reply,), why="the model told no probabilities")
        forms = set(self.forms(question))
        low, high = self._bounds(reply, forms)
        if self.instead_of is not None:
            other_low, other_high = self._bounds(reply, set(self.instead_of(question)) - forms)
            low, high = _share(low, other_high), _share(high, other_low)
        bounds = None if reply.unlisted is None else (low, high)
        return Said(verdict=low, bounds=bounds, replies=(reply,))

    def _bounds(self, reply: Reply, forms: set[str]) -> tuple[float, float]:
        """The least and the greatest that the probabilities of the forms may come to."""
        there = {form: log_prob for form, log_prob in reply.first_tokens.items() if form in forms}
        listed = [self._probability(log_prob) for log_prob in there.values() if log_prob is not None]
        found = min(math.fsum(listed), 1.0)
        if reply.unlisted is None:
            return found, found
        return found, min(found + (len(there) - len(listed)) * math.exp(reply.unlisted), 1.0)

    def _probability(self, log_prob: float) -> float:
        probability = math.exp(log_prob)
        return float(np.float32(probability)) if self.single else probability


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OneByOne:
    """One question a call, and one verdict a reply.

    Attributes:
        reader: what `read` is called in the name of a metric: ``strict``, ``lenient``, a script's name.
        attempts: so often a question is asked at most while its replies cannot be read.
        retry: what is sent then.
    """

    write: WriteOne
    read: ReadOne
    reader: str
    attempts: int = 1
    retry: Retry = again
    answers: Answers = "free"

    @property
    def name(self) -> str:
        """``one question a call, <reader>``."""
        return f"one question a call, {self.reader}"

    def requests(self, case: Case) -> list[Request]:
        """One a question."""
        return [replace(self.write(case, question), images=(case.picture,)) for question in case.questions]

    def read_reply(self, case: Case, place: int, reply: Reply) -> list[Verdict]:
        """The verdict that the reply to the request at that place holds."""
        return [self.read(reply, case.questions[place])]

    def ask(self, vlm: Vlm, cases: Sequence[Case]) -> list[list[Said] | Unscored]:
        """See `Asking`."""
        return _ask(vlm, cases, [self.requests(case) for case in cases], self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllAtOnce:
    """All questions of a picture in one call; attributes as of `OneByOne`."""

    write: WriteAll
    read: ReadAll
    reader: str
    attempts: int = 1
    retry: Retry = again
    answers: Answers = "free"

    @property
    def name(self) -> str:
        """``all questions in one call, <reader>``."""
        return f"all questions in one call, {self.reader}"

    def requests(self, case: Case) -> list[Request]:
        """One."""
        return [replace(self.write(case), images=(case.picture,))]

    def read_reply(self, case: Case, place: int, reply: Reply) -> list[Verdict]:
        """A verdict a question.

        Raises:
            UnreadableReply: the reader found none, or another number of them.
        """
        verdicts = list(self.read(reply, case.questions))
        if len(verdicts) != len(case.questions):
            raise UnreadableReply(f"Expected {len(case.questions)} verdicts, and got {len(verdicts)}.")
        return verdicts

    def ask(self, vlm: Vlm, cases: Sequence[Case]) -> list[list[Said] | Unscored]:
        """See `Asking`."""
        return _ask(vlm, cases, [self.requests(case) for case in cases], self)


Spoken = OneByOne | AllAtOnce
"""The modes in which the model answers in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeFirst:
    """The model describes the picture, and the questions are asked behind that, in the same conversation.

    Attributes:
        describe: writes the first turn; its reply is taken as it is, and is a reply of every question.
    """

    describe: WriteAll
    then: Spoken
    answers: Answers = "free"

    @property
    def name(self) -> str:
        """``describe first, <the second mode>``."""
        return f"describe first, {self.then.name}"

    def requests(self, case: Case) -> list[Request]:
        """The description's, and the questions' without it."""
        return [self._first(case), *self.then.requests(case)]

    def _first(self, case: Case) -> Request:
        return replace(self.describe(case), images=(case.picture,))

    def ask(self, vlm: Vlm, cases: Sequence[Case]) -> list[list[Said] | Unscored]:
        """See `Asking`; without a description no question of the picture is answered."""
        first = [self._first(case) for case in cases]
        described = vlm.reply(first) if first else []
        live = [place for place, reply in enumerate(described) if isinstance(reply, Reply)]
        requests = [
            [_behind(first[place], described[place], one) for one in self.then.requests(cases[place])] for place in live
        ]
        answered = dict(zip(live, _ask(vlm, [cases[place] for place in live], requests, self.then), strict=True))
        return [
            _with_description(answered[place], reply) if isinstance(reply, Reply) else _undescribed(cases[place], reply)
            for place, reply in enumerate(described)
        ]


def _behind(first: Request, description: Reply | Unscored, question: Request) -> Request:
    """The question as the second turn of the conversation that begins with the description."""
    assert isinstance(description, Reply)
    followups = (*first.followups, (description.text, question.prompt))
    return replace(question, system=first.system, prompt=first.prompt, followups=followups)


def _with_description(found: list[Said] | Unscored, description: Reply) -> list[Said] | Unscored:
    if isinstance(found, Unscored):
        return replace(found, replies=(description, *found.replies))
    return [replace(said, replies=(description, *said.replies)) for said in found]


def _undescribed(case: Case, reply: Unscored) -> list[Said] | Unscored:
    return whole([unanswered(reply)] * len(case.questions))


def _ask(
    vlm: Vlm, cases: Sequence[Case], requests: Sequence[Sequence[Request]], mode: Spoken
) -> list[list[Said] | Unscored]:
    """Ask all requests together, and again those whose reply could not be read, as often as the mode says.

    A reply that was cut off before its answer began is asked for again only with more room: it would be cut off again.
    """
    jobs = [
        (case, place, request) for case, each in zip(cases, requests, strict=True) for place, request in enumerate(each)
    ]
    results: dict[int, list[Said] | Unscored] = {}
    kept: dict[int, tuple[Reply, ...]] = {}
    open_ = list(range(len(jobs)))
    for attempt in range(mode.attempts):
        sent = [mode.retry(jobs[job][2], attempt) if attempt else jobs[job][2] for job in open_]
        left = []
        for job, request, reply in zip(open_, sent, vlm.reply(sent) if sent else [], strict=True):
            case, place, _ = jobs[job]
            width = 1 if isinstance(mode, OneByOne) else len(case.questions)
            if isinstance(reply, Unscored):
                kept[job] = (*kept.get(job, ()), *reply.replies)
                said = unanswered(replace(reply, replies=kept[job]))
                results[job] = said if isinstance(said, Unscored) else [said] * width
                more_room = mode.retry(jobs[job][2], attempt + 1).max_tokens > request.max_tokens
                left += [job] if reply.why is Why.TRUNCATED and more_room else []
                continue
            kept[job] = (*kept.get(job, ()), reply)
            try:
                verdicts = mode.read_reply(case, place, reply)
                results[job] = [Said(verdict=one, replies=kept[job], why="" if one is not None else "no verdict on it")
                                for one in verdicts]  # fmt: skip
            except UnreadableReply as fault:
                results[job] = [Said(verdict=None, replies=kept[job], why=str(fault))] * width
                left.append(job)
        open_ = left
    found = iter(results[job] for job in range(len(jobs)))
    return [_joined([next(found) for _ in each]) for each in requests]


def _joined(parts: Sequence[list[Said] | Unscored]) -> list[Said] | Unscored:
    return whole([said for part in parts for said in ([part] if isinstance(part, Unscored) else part)])


def unanswered(failed: Unscored) -> Said | Unscored:
    """A question that the model did not answer; a failure of the model or server stays one, and is asked again."""
    if failed.why is Why.BACKEND:
        return failed
    return Said(verdict=None, replies=failed.replies, why=f"{failed.why.value}: {failed.detail}")


def whole(found: Sequence[Said | Unscored]) -> list[Said] | Unscored:
    """What came of all questions of a picture; the first failure where the model failed on any, with every reply."""
    failed = next((said for said in found if isinstance(said, Unscored)), None)
    if failed is not None:
        return replace(failed, replies=tuple(reply for said in found for reply in said.replies))
    return [said for said in found if isinstance(said, Said)]
