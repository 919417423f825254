"""Checklists: a prompt's questions, the verdicts on a picture, and the named rules that add them up.

A verdict is a number in [0, 1], or None where the question was not answered. What was not answered is counted, and is
never a no: means are over the answered questions, and say how many they stand on.

    dependency           none; direct: no where a parent was answered no; transitive: in the order of the questions,
                         no where a parent is no by then (also because its own parent is)
    within a picture     mean; geometric_mean; weighted (by the questions' weights); all (1 where every verdict is 1)
    over pictures        macro; micro, also by tag; mean of categories; fixed weights of categories
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from gotr1_eval.core.cardinals import UNITS
from gotr1_eval.core.types import Json, Sample

QUESTIONS = "questions"
"""The fact of a prompt (a key of `Sample.meta`) that holds its checklist."""
NUMBERS = {word: str(value) for word, value in UNITS.items() if 0 < value <= 10}
"""The words for counts, and their digits."""
Verdict = float | None
Dependency = Literal["none", "direct", "transitive"]
Within = Literal["mean", "geometric_mean", "weighted", "all"]
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about a picture.

    Attributes:
        id: unique within its checklist.
        answers: what is expected to be answered; each of them is right. Empty where the question's own wording decides.
        parents: ids of the questions without a yes to which this one cannot be yes.
        weight: of the rule `weighted`; finite and not negative.
        criterion: the text by which the answer is judged, where the benchmark states one.
        tag: the kind of question, for tables.
    """

    id: str
    text: str
    answers: tuple[str, ...] = ("yes",)
    parents: tuple[str, ...] = ()
    weight: float = 1.0
    criterion: str = ""
    tag: str = ""


class ChecklistError(ValueError):
    """A fact is no list of questions; the message is one line and says what was expected and what came."""


class UnknownParentError(ValueError):
    """A question names a parent that its checklist does not hold, and the rule in use cannot pass over that."""


def questions_of(sample: Sample, fact: str = QUESTIONS) -> tuple[Question, ...]:
    """The checklist of a sample.

    Raises:
        ChecklistError: it has none, or one that cannot be read.
    """
    if (found := sample.meta.get(fact)) is None:
        raise ChecklistError(f"the prompt has no {fact!r}")
    return read_questions(found)


def read_questions(fact: Json) -> tuple[Question, ...]:
    """The questions of a list of objects with the fields of `Question`, or of the same as JSON text (a table's cell).

    Only ``text`` is needed; ids are otherwise counted from "1". ``answers`` and ``parents`` may be one text.

    Raises:
        ChecklistError: it is no such list, or two questions have one id.
    """
    rows = _loaded(fact)
    if not isinstance(rows, list) or not rows:
        raise ChecklistError(f"expected a list of questions, got {_shown(rows)}")
    questions = tuple(_read_question(row, place) for place, row in enumerate(rows, start=1))
    ids = [question.id for question in questions]
    if twice := next((name for name in ids if ids.count(name) > 1), None):
        raise ChecklistError(f"two questions have the id {twice!r}")
    return questions


def write_questions(questions: Iterable[Question]) -> list[Json]:
    """The fact that `read_questions` reads; fields with their usual value are left out."""
    usual = {field.name: field.default for field in fields(Question)}
    return [
        {
            name: list(value) if isinstance(value, tuple) else value
            for name in usual
            if (value := getattr(question, name)) != usual[name]
        }
        for question in questions
    ]


def _loaded(fact: Json) -> Any:  # noqa: ANN401 - JSON of any shape
    if not isinstance(fact, str):
        return fact
    try:
        return json.loads(fact)
    except (ValueError, RecursionError):
        raise ChecklistError(f"expected a list of questions as JSON, got {_shown(fact)}") from None


def _read_question(row: Any, place: int) -> Question:  # noqa: ANN401
    known = [field.name for field in fields(Question)]
    if not isinstance(row, dict):
        raise ChecklistError(f"question {place}: expected an object with a text, got {_shown(row)}")
    if foreign := next((key for key in row if key not in known), None):
        raise ChecklistError(f"question {place}: unknown field {foreign!r} (known: {', '.join(known)})")
    text, weight = row.get("text"), row.get("weight", 1.0)
    if not isinstance(text, str) or not text.strip():
        raise ChecklistError(f"question {place}: expected a text, got {_shown(text)}")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise ChecklistError(f"question {place}: expected a weight that is not negative, got {_shown(weight)}")
    return Question(
        id=str(row.get("id", place)),
        text=text,
        answers=_texts(row.get("answers", ["yes"]), f"question {place}: answers"),
        parents=_texts(row.get("parents", []), f"question {place}: parents"),
        weight=float(weight),
        criterion=str(row.get("criterion", "")),
        tag=str(row.get("tag", "")),
    )


def _texts(value: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) or not isinstance(one, str | int) for one in values):
        raise ChecklistError(f"{where}: expected texts, got {_shown(value)}")
    return tuple(map(str, values))


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def apply_dependency(
    questions: Sequence[Question],
    verdicts: Sequence[Verdict],
    rule: Dependency,
    *,
    unknown_parents: Literal["ignored", "refused"] = "ignored",
) -> list[Verdict]:
    """The verdicts with a no wherever the rule has one; what was not answered stays unanswered and denies nothing.

    Raises:
        UnknownParentError: parents that are no question of the list are refused, and one was reached before a parent
            that is no.
    """
    counted = list(verdicts)
    if rule == "none":
        return counted
    place_of = {question.id: place for place, question in enumerate(questions)}
    decides = verdicts if rule == "direct" else counted
    for place, question in enumerate(questions):
        for parent in question.parents:
            if parent not in place_of:
                if unknown_parents == "refused":
                    raise UnknownParentError(
                        f"question {question.id!r} names the parent {parent!r}, which is not there"
                    )
                continue
            if decides[place_of[parent]] == 0:
                counted[place] = None if counted[place] is None else 0.0
                break
    return counted


def parents_first(questions: Sequence[Question]) -> list[Question]:
    """The questions, each behind its parents and otherwise in their order, so that a rule in their order is whole.

    Of questions that depend on each other in a circle the first one goes on.
    """
    names = {question.id for question in questions}
    ordered: list[Question] = []
    there: set[str] = set()
    waiting = list(questions)
    while waiting:
        free = next((one for one in waiting if not (names & {*one.parents}) - there), waiting[0])
        waiting.remove(free)
        ordered.append(free)
        there.add(free.id)
    return ordered


def within_picture(questions: Sequence[Question], verdicts: Sequence[Verdict], rule: Within) -> Verdict:
    """The picture's value in [0, 1] over its answered questions; None where that is not known.

    `all` is 0 as soon as one verdict is below 1, and otherwise not known while a question is unanswered; `weighted` is
    not known where the answered questions weigh nothing.
    """
    pairs = zip(questions, verdicts, strict=True)
    answered = [(question.weight, verdict) for question, verdict in pairs if verdict is not None]
    values = [verdict for _, verdict in answered]
    if rule == "all":
        return 0.0 if any(value < 1 for value in values) else 1.0 if values and len(values) == len(verdicts) else None
    if not values:
        return None
    if rule == "mean":
        return math.fsum(values) / len(values)
    if rule == "geometric_mean":
        return math.exp(math.fsum(map(math.log, values)) / len(values)) if all(values) else 0.0
    weight = math.fsum(weight for weight, _ in answered)
    return math.fsum(weight * value for weight, value in answered) / weight if weight else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPicture:
    """A picture with its checklist and what was made of it.

    Attributes:
        category: of its prompt.
        verdicts: one a question, after the dependency.
        value: of the picture, by a rule of `within_picture`; None where it has none.
    """

    category: str
    questions: tuple[Question, ...]
    verdicts: tuple[Verdict, ...]
    value: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean, and what it stands on.

    Attributes:
        value: None where nothing has a value.
        pictures: that have a value; of a mean over questions, that have an answered one.
        questions: of these pictures (and of the tag that it is a mean of), whether answered or not.
        unanswered: how many of the questions.
    """

    value: float | None
    pictures: int
    questions: int
    unanswered: int


def macro(pictures: Iterable[CheckedPicture]) -> Mean:
    """The mean of the pictures' values, each picture counting alike."""
    valued = [(picture, picture.value) for picture in pictures if picture.value is not None]
    verdicts = [verdict for picture, _ in valued for verdict in picture.verdicts]
    return Mean(
        value=_mean([value for _, value in valued]),
        pictures=len(valued),
        questions=len(verdicts),
        unanswered=sum(verdict is None for verdict in verdicts),
    )


def micro(pictures: Iterable[CheckedPicture], wanted: Callable[[Question], bool] = lambda question: True) -> Mean:
    """The mean of the verdicts on all questions that are wanted, each question counting alike."""
    by_picture = [
        [verdict for question, verdict in zip(one.questions, one.verdicts, strict=True) if wanted(question)]
        for one in pictures
    ]
    answered = [[verdict for verdict in verdicts if verdict is not None] for verdicts in by_picture]
    questions = sum(map(len, by_picture))
    return Mean(
        value=_mean([verdict for verdicts in answered for verdict in verdicts]),
        pictures=sum(map(bool, answered)),
        questions=questions,
        unanswered=questions - sum(map(len, answered)),
    )


def micro_by_tag(pictures: Sequence[CheckedPicture]) -> dict[str, Mean]:
    """`micro` for each tag, in order of first appearance."""
    tags = dict.fromkeys(question.tag for picture in pictures for question in picture.questions)
    return {tag: micro(pictures, lambda question, tag=tag: question.tag == tag) for tag in tags}  # type: ignore[misc]


def macro_by(pictures: Iterable[CheckedPicture], key: Callable[[CheckedPicture], T]) -> dict[T, Mean]:
    """`macro` for each group of pictures, in order of first appearance."""
    groups: dict[T, list[CheckedPicture]] = {}
    for picture in pictures:
        groups.setdefault(key(picture), []).append(picture)
    return {name: macro(group) for name, group in groups.items()}


def macro_by_category(pictures: Iterable[CheckedPicture]) -> dict[str, Mean]:
    """`macro` for each category, in order of first appearance."""
    return macro_by(pictures, lambda picture: picture.category)


def mean_of_categories(pictures: Iterable[CheckedPicture]) -> Mean:
    """The mean of the categories' means, each category counting alike; None where one of them has no value."""
    means = macro_by_category(pictures)
    return _combined(means, dict.fromkeys(means, 1.0))


def fixed_weights(pictures: Iterable[CheckedPicture], weights: Mapping[str, float]) -> Mean:
    """The mean of the categories' means by fixed weights; None where one of the weighed categories has no value."""
    return _combined(macro_by_category(pictures), weights)


def _combined(means: Mapping[str, Mean], weights: Mapping[str, float]) -> Mean:
    there = [means[name] for name in weights if name in means]
    values = [means[name].value if name in means else None for name in weights]
    known = [value for value in values if value is not None]
    whole = bool(known) and len(known) == len(weights)
    total = math.fsum(weight * value for weight, value in zip(weights.values(), known, strict=True)) if whole else 0.0
    return Mean(
        value=total / math.fsum(weights.values()) if whole else None,
        pictures=sum(mean.pictures for mean in there),
        questions=sum(mean.questions for mean in there),
        unanswered=sum(mean.unanswered for mean in there),
    )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
