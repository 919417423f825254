"""The asking modes in which a model answers in words: from questions to requests, and from replies to verdicts.

    OneByOne         one question a call
    AllAtOnce        all questions of a picture in one call
    DescribeFirst    the model describes the picture, and is asked in the same conversation (by either of the two above)

`benchmarks.checklist.first_tokens` has the mode in which it answers by probabilities.

What is asked is the benchmark's: each mode is given functions that write requests (without pictures, which are added
here) and read replies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from PIL import Image

from gotr1_eval.core.checklist import Question, Verdict
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Answers, Request, Vlm
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample


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
class Spoken(ABC):
    """A mode in which the model answers in words.

    Attributes:
        reader: what `read` is called in the name of a metric: ``strict``, ``lenient``, a script's name.
        attempts: so often a question is asked at most while its replies cannot be read.
        retry: what is sent then.
    """

    reader: str
    attempts: int = 1
    retry: Retry = again
    answers: Answers = "free"

    @property
    @abstractmethod
    def name(self) -> str:
        """See `Asking`."""

    @abstractmethod
    def requests(self, case: Case) -> list[Request]:
        """See `Asking`."""

    @abstractmethod
    def read_reply(self, case: Case, place: int, reply: Reply) -> list[Verdict]:
        """The verdicts that the reply to the request at that place holds; raises UnreadableReply without any."""

    def ask(self, vlm: Vlm, cases: Sequence[Case]) -> list[list[Said] | Unscored]:
        """See `Asking`."""
        return _ask(vlm, cases, [self.requests(case) for case in cases], self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneByOne(Spoken):
    """One question a call, and one verdict a reply."""

    write: WriteOne
    read: ReadOne

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AllAtOnce(Spoken):
    """All questions of a picture in one call."""

    write: WriteAll
    read: ReadAll

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


@dataclass(slots=True)
class _Job:
    """One request on its way: what was replied so far, and what came of the questions that it asks."""

    mode: Spoken
    case: Case
    place: int
    request: Request
    replies: tuple[Reply, ...] = ()
    result: list[Said] | Unscored = field(default_factory=list)

    def sent(self, attempt: int) -> Request:
        """The request of the first attempt (0), or of a later one."""
        return self.mode.retry(self.request, attempt) if attempt else self.request

    def take(self, reply: Reply | Unscored, attempt: int) -> bool:
        """Keep what an attempt brought; whether the request should be sent again.

        A reply that was cut off before its answer began is asked for again only with more room: it would be cut off
        again.
        """
        if isinstance(reply, Unscored):
            self.replies = (*self.replies, *reply.replies)
            said = unanswered(replace(reply, replies=self.replies))
            self.result = said if isinstance(said, Unscored) else [said] * self._width
            return reply.why is Why.TRUNCATED and self.sent(attempt + 1).max_tokens > self.sent(attempt).max_tokens
        self.replies = (*self.replies, reply)
        try:
            verdicts = self.mode.read_reply(self.case, self.place, reply)
        except UnreadableReply as fault:
            self.result = [Said(verdict=None, replies=self.replies, why=str(fault))] * self._width
            return True
        self.result = [
            Said(verdict=one, replies=self.replies, why="" if one is not None else "no verdict on it")
            for one in verdicts
        ]
        return False

    @property
    def _width(self) -> int:
        """How many questions the request asks."""
        return 1 if isinstance(self.mode, OneByOne) else len(self.case.questions)


def _ask(
    vlm: Vlm, cases: Sequence[Case], requests: Sequence[Sequence[Request]], mode: Spoken
) -> list[list[Said] | Unscored]:
    """Ask all requests together, and again those whose reply could not be read, as often as the mode says."""
    jobs = [
        [_Job(mode, case, place, request) for place, request in enumerate(each)]
        for case, each in zip(cases, requests, strict=True)
    ]
    waiting = [job for each in jobs for job in each]
    for attempt in range(mode.attempts):
        replies = vlm.reply([job.sent(attempt) for job in waiting]) if waiting else []
        waiting = [job for job, reply in zip(waiting, replies, strict=True) if job.take(reply, attempt)]
    return [_joined([job.result for job in each]) for each in jobs]


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
