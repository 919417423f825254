"""The judge of checklists: shows a picture, asks its questions, reads the verdicts, and adds them up by named rules.

A benchmark's judge is this one with a `Procedure` of its own. `Score.questions` keeps every verdict with the reply that
it was read from, so that reports show what failed and agreement is computed a question.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from benchmarks.checklist.asking import Asking, Case, Said
from benchmarks.checklist.encoding import AsItIs, Encoding
from benchmarks.semantics import Semantics, UndefinedScoreError, undefined, where_it_applies
from gotr1_eval.core.checklist import (
    QUESTIONS,
    ChecklistError,
    Dependency,
    Question,
    UnknownParentError,
    Verdict,
    Within,
    apply_dependency,
    read_questions,
    within_picture,
)
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, QuestionVerdict, Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Answers, LooksAt, Request, Vlm
from gotr1_eval.core.reading import READER_VERSION
from gotr1_eval.core.types import AskedCalls, Json, Sample
from rewards.inputs import require_picture

VERSION = 3
WIDEST = 0.01
"""Width of the bounds of a picture's value up to which its lowest value is given."""
Unanswered = Literal["left out", "no", "unscored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """How a benchmark asks about a picture, reads, and adds up; every field stands in the metric's name.

    Attributes:
        metric: what the number is called.
        fact: the key of `Sample.meta` that the questions are made of; prompts without it are none of this metric's.
        questions: makes them; may raise `ChecklistError`.
        unknown_parents: see `gotr1_eval.core.checklist.apply_dependency`.
        parts: other means of the same verdicts that are told beside the value: name -> rule.
        unanswered: what an unanswered question is: left out of the value and counted; a no (the name says so); or the
            end of the value, so that the picture is unscored.
        semantics: None where there is no official script to follow or to mend.
        facts: whatever else changes a value: digests of the wording, the version of the benchmark's own code.
        remarks: what a reader of the numbers should know of a run's samples, a line each.
    """

    metric: str
    asking: Asking
    fact: str = QUESTIONS
    questions: Callable[[Sample], Sequence[Question]] | None = None
    dependency: Dependency = "none"
    unknown_parents: Literal["ignored", "refused"] = "ignored"
    within: Within = "mean"
    parts: Mapping[str, Within] = field(default_factory=dict)
    encoding: Encoding = field(default_factory=AsItIs)
    unanswered: Unanswered = "left out"
    semantics: Semantics | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)
    remarks: Callable[[Iterable[Sample]], list[str]] = lambda samples: []

    def name(self, model: str) -> str:
        """The number's name: ``metric[model, mode, reader, dependency, aggregation, encoding, semantics]``."""
        parts = [model, self.asking.name]
        parts += [f"{self.dependency} dependency"] if self.dependency != "none" else []
        parts += [self.within.replace("_", " "), self.encoding.name]
        parts += {"left out": [], "no": ["unanswered is no"], "unscored": ["all answered"]}[self.unanswered]
        parts += [self.semantics] if self.semantics is not None else []
        return f"{self.metric}[{', '.join(parts)}]"

    def read(self, sample: Sample) -> tuple[Question, ...]:
        """The sample's questions; raises ChecklistError where they cannot be read."""
        questions = read_questions(sample.meta[self.fact]) if self.questions is None else self.questions(sample)
        return tuple(questions)


def model_label(vlm: Vlm, spec: Mapping[str, Json]) -> str:
    """The model's name with the revision that its settings state: ``Qwen3-VL-8B-Instruct@0c351dd``."""
    inner = spec.get("vlm")
    revision = (inner if isinstance(inner, Mapping) else spec).get("revision")
    return f"{vlm.name}@{str(revision)[:12]}" if revision else vlm.name


class ChecklistJudge:
    """A picture's value in [0, 1] from the verdicts on its questions; see `gotr1_eval.core.protocols.Judge`.

    Parts: ``questions`` and ``unanswered`` are counts; ``lowest`` and ``highest`` are there where a server's list of
    tokens leaves the value open by no more than `WIDEST`, and the value is then the lowest.
    """

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    model_calls = 1

    def __init__(self, vlm: Vlm, procedure: Procedure, model: str | None = None) -> None:
        """Raises UsageError when the procedure needs probabilities that the model does not give.

        Args:
            model: what the model is called in the metric's name; see `model_label`.
        """
        if procedure.asking.answers == "choices" and not vlm.scores_choices:
            raise UsageError(f"{procedure.metric}: asks for probabilities, which {vlm.name} does not return")
        self.vlm = vlm
        self.procedure = procedure
        self.name = procedure.name(model or vlm.name)
        self.needs = frozenset({procedure.fact})

    @property
    def answers(self) -> Answers:
        """See `gotr1_eval.core.protocols.Asking`."""
        return self.procedure.asking.answers

    @property
    def fingerprint(self) -> str:
        """Of the name, the model, the reading, and the procedure's own facts."""
        facts: dict[str, Json] = {"judge": self.name, "version": VERSION, "reader": READER_VERSION}
        return fingerprint({**facts, "vlm": self.vlm.fingerprint, "facts": dict(self.procedure.facts)})

    def calls(self, sample: Sample) -> AskedCalls:
        """What the sample's questions take; nothing where they cannot be read."""
        if sample.meta.get(self.procedure.fact) is None:
            return AskedCalls()
        try:
            case = Case(sample, Image.new("RGB", (1, 1)), self.procedure.read(sample))
        except (ChecklistError, UndefinedScoreError):
            return AskedCalls()
        requests = self.procedure.asking.requests(case) * self.procedure.encoding.most
        return AskedCalls(
            calls=len(requests),
            characters=sum(map(_length, requests)),
            answer_tokens_at_most=sum(1 if one.choices or one.first_tokens else one.max_tokens for one in requests),
        )

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`."""
        return self.procedure.remarks(samples)

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` without the fact that the questions are made of."""
        fact = self.procedure.fact
        return where_it_applies(
            lambda sample: sample.meta.get(fact) is not None, samples, self._judge, f"needs the fact {fact!r}"
        )

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        prepared = [self._cases(sample) for sample in samples]
        cases = [case for each in prepared if not isinstance(each, Unscored) for case in each]
        found = iter(self.procedure.asking.ask(self.vlm, cases))
        return [
            each if isinstance(each, Unscored) else self._outcome(each, [next(found) for _ in each])
            for each in prepared
        ]

    def _cases(self, sample: Sample) -> list[Case] | Unscored:
        """What the model is shown of a sample and asked about it."""
        try:
            questions = self.procedure.read(sample)
        except ChecklistError as fault:
            return Unscored(why=Why.NO_INPUT, detail=str(fault))
        except UndefinedScoreError as fault:
            return undefined(fault)
        picture = require_picture(sample)
        if isinstance(picture, Unscored):
            return picture
        shown = self.procedure.encoding.pictures(picture)
        if not shown:
            return Unscored(why=Why.UNDEFINED, detail=f"{self.procedure.encoding.name}: no picture is left to judge")
        return [Case(sample, one, questions) for one in shown]

    def _outcome(self, cases: Sequence[Case], found: Sequence[list[Said] | Unscored]) -> Outcome:
        replies: list[Reply] = []
        places: dict[int, int] = {}
        for reply in (reply for each in found for reply in _replies(each)):
            if id(reply) not in places:
                places[id(reply)] = len(replies)
                replies.append(reply)
        if failed := next((each for each in found if isinstance(each, Unscored)), None):
            return Unscored(why=failed.why, detail=failed.detail, replies=tuple(replies))
        said = [each for each in found if not isinstance(each, Unscored)]
        try:
            counted = [
                self._counted(case, [one.verdict for one in each]) for case, each in zip(cases, said, strict=True)
            ]
        except UnknownParentError as fault:
            return Unscored(why=Why.UNDEFINED, detail=str(fault), replies=tuple(replies))
        verdicts = tuple(
            QuestionVerdict(
                question=question.id,
                text=question.text,
                tag=question.tag,
                verdict=one.verdict,
                counted=number,
                picture=picture,
                replies=tuple(places[id(reply)] for reply in one.replies),
                why=one.why,
            )
            for picture, (case, each, numbers) in enumerate(zip(cases, said, counted, strict=True))
            for question, one, number in zip(case.questions, each, numbers, strict=True)
        )
        return self._summed(cases, said, counted, verdicts, tuple(replies))

    def _counted(self, case: Case, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The verdicts as they enter the value."""
        filled = [0.0 if one is None and self.procedure.unanswered == "no" else one for one in verdicts]
        return apply_dependency(
            case.questions, filled, self.procedure.dependency, unknown_parents=self.procedure.unknown_parents
        )

    def _summed(
        self,
        cases: Sequence[Case],
        said: Sequence[Sequence[Said]],
        counted: Sequence[Sequence[Verdict]],
        verdicts: tuple[QuestionVerdict, ...],
        replies: tuple[Reply, ...],
    ) -> Outcome:
        """The value over the pictures that were shown, each counting alike, or why there is none."""
        open_ = [one for one in verdicts if one.verdict is None]
        first = f": {open_[0].why}" if open_ else ""
        unreadable = Unscored(
            why=Why.UNREADABLE,
            detail=f"{len(open_)} of {len(verdicts)} questions were not answered{first}",
            replies=replies,
            questions=verdicts,
        )
        if open_ and self.procedure.unanswered == "unscored":
            return unreadable
        lowest = _value(cases, counted, self.procedure.within)
        if lowest is None:
            return unreadable
        parts = {"questions": float(len(verdicts)), "unanswered": float(len(open_))}
        others = {name: _value(cases, counted, rule) for name, rule in self.procedure.parts.items()}
        parts |= {name: value for name, value in others.items() if value is not None}
        if any(one.bounds is not None for each in said for one in each):
            highest = self._highest(cases, said)
            parts |= {"lowest": lowest, "highest": highest}
            if highest - lowest > WIDEST:
                detail = (
                    f"its value lies between {lowest:.4f} and {highest:.4f}: the server lists too few tokens; raise "
                    "'listed_tokens', or run the model in this process"
                )
                return Unscored(why=Why.UNREADABLE, detail=detail, replies=replies, questions=verdicts)
        return Score(value=lowest, parts=parts, replies=replies, questions=verdicts)

    def _highest(self, cases: Sequence[Case], said: Sequence[Sequence[Said]]) -> float:
        """The value with every verdict at its upper bound; no rule falls as a verdict grows."""
        counted = [
            self._counted(case, [one.verdict if one.bounds is None else one.bounds[1] for one in each])
            for case, each in zip(cases, said, strict=True)
        ]
        value = _value(cases, counted, self.procedure.within)
        assert value is not None  # the same questions are answered
        return value


def _value(cases: Sequence[Case], counted: Sequence[Sequence[Verdict]], rule: Within) -> float | None:
    """The mean over the pictures that were shown; None where none of them has a value."""
    values = [within_picture(case.questions, numbers, rule) for case, numbers in zip(cases, counted, strict=True)]
    known = [value for value in values if value is not None]
    return min(statistics.fmean(known), 1.0) if known else None


def _replies(found: list[Said] | Unscored) -> list[Reply]:
    if isinstance(found, Unscored):
        return list(found.replies)
    return [reply for one in found for reply in one.replies]


def _length(request: Request) -> int:
    """Characters of all that the request says."""
    rounds = sum(len(answer) + len(question) for answer, question in request.followups)
    return len(request.system) + len(request.prompt) + rounds
