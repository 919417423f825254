"""Verdict readers: what a model said to one question, or to all questions of a picture, as numbers in [0, 1].

A strict reader takes only the form that was asked for. A lenient one also takes what cannot mean anything else: words
around the verdict, numbered or bulleted lines, a code fence, an object by ids for a list. Both raise `UnreadableReply`
rather than guess; an answer that a strict reader takes is the same to the lenient one. What a benchmark's own script
reads, faults included, is written in that benchmark's folder.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.checklist.context import is_example, takes_back
from gotr1_eval.core.checklist import Question, Verdict
from gotr1_eval.core.outcome import Reply, Why
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.reading.reply import answer_part, declines

YES_NO = {"yes": 1.0, "no": 0.0}
_ORNAMENT = " \t\r\n*_`\"'.!"
_BULLET = re.compile(
    r"[\s>*_`\"'•-]*+(?:(?:\((?=\d)|(?:question|answer|q|a|#)[ \t]?)?(?P<number>\d{1,3})[*_]*[.):][\s*_`\"']*+)?", re.I
)
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.S)


def given_answer(text: str, finish: str | None) -> str:
    """The answer behind the last thought.

    Raises:
        UnreadableReply: there is none, or it declines to answer: a verdict beside that is about no picture.
    """
    answer = answer_part(text, finish=finish)
    refuse_declined(answer)
    return answer


def refuse_declined(text: str) -> None:
    """Refuse a text that declines to answer; raises `UnreadableReply`."""
    if declines(text):
        raise UnreadableReply("The answer declines to answer.", why=Why.REFUSED)


def strict_json(reply: Reply, questions: Sequence[Question]) -> list[Verdict]:
    """Verdicts from a reply that is one JSON object: question id -> true, false, yes, no, or a number in [0, 1].

    Raises:
        UnreadableReply: it is no such object, or has other ids.
    """
    return _by_id(_json_of(reply.text, reply), questions)


def lenient_json(reply: Reply, questions: Sequence[Question]) -> list[Verdict]:
    """The same in a code fence or between other words, and a list in the order of the questions.

    A question that the object leaves out is unanswered.

    Raises:
        UnreadableReply: nothing of the kind, an entry that is no verdict, or words that make it an example or take it
            back.
    """
    found = _json_of(_only_json(given_answer(reply.text, reply.finish), reply), reply)
    if isinstance(found, list):
        return _in_order(found, questions)
    return _by_id(found, questions, whole=False)


def strict_lines(reply: Reply, questions: Sequence[Question]) -> list[Verdict]:
    """Verdicts from a reply of as many lines as there are questions, each yes or no and nothing else.

    Raises:
        UnreadableReply: another number of lines, or another line.
    """
    return _in_order(reply.text.strip().splitlines(), questions)


def lenient_lines(reply: Reply, questions: Sequence[Question]) -> list[Verdict]:
    """The same with blank lines, bullets, marks of bold type, and numbers, which are the questions'.

    Raises:
        UnreadableReply: another number of lines, another line, or numbers other than 1 to that number.
    """
    lines = [line for line in given_answer(reply.text, reply.finish).splitlines() if line.strip()]
    numbered = [unnumbered(line) for line in lines]
    return _in_order([line.strip(_ORNAMENT) for line in by_number(numbered)], questions)


Numbered = tuple[int | None, str]
"""The number that a line bears, and the rest of the line."""


def unnumbered(line: str) -> Numbered:
    """A line without its bullet, and its number: "2. yes", "(2) yes", "**2.** yes", "Q2: yes"."""
    bullet = _BULLET.match(line)
    if bullet is None:
        return None, line
    return int(bullet["number"]) if bullet["number"] else None, line[bullet.end() :]


def by_number(lines: Sequence[Numbered]) -> list[str]:
    """The lines in the order of their numbers, or as they stand where none has one.

    Raises:
        UnreadableReply: some have none, or they are not 1, 2, ... once each.
    """
    numbers = [number for number, _ in lines if number is not None]
    if not numbers:
        return [line for _, line in lines]
    if sorted(numbers) != [*range(1, len(lines) + 1)]:
        raise UnreadableReply("The lines must be numbered from 1 on, each number once, or not at all.")
    return [line for _, line in sorted(lines, key=lambda numbered: numbered[0] or 0)]


def tagged_list(text: str, tag: str) -> list[Any]:
    """The Python list between the first ``<tag>`` and ``</tag>`` of a text.

    Raises:
        UnreadableReply: no such pair, or no list between them.
    """
    found = re.search(rf"<{re.escape(tag)}>(.*?)</{re.escape(tag)}>", text, re.S)
    try:
        value = ast.literal_eval(found[1].strip()) if found else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise UnreadableReply(f"Expected a list between <{tag}> and </{tag}>, and got {shown(text)}.")
    return value


def strict_tagged_list(reply: Reply, questions: Sequence[Question], tag: str = "score") -> list[Verdict]:
    """Verdicts from the list between ``<score>`` and ``</score>``, one a question in their order.

    Raises:
        UnreadableReply: no such list, or an entry that is no verdict.
    """
    return _in_order(tagged_list(reply.text, tag), questions)


def verdict_of(value: object) -> Verdict:
    """A JSON value as a verdict; None for null.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    if isinstance(value, str) and (word := value.strip().removesuffix(".").lower()) in YES_NO:
        return YES_NO[word]
    raise ValueError(f"{shown(value)} is no verdict")


def _json_of(text: str, reply: Reply) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        why = Why.TRUNCATED if reply.finish == "length" else Why.UNREADABLE
        raise UnreadableReply(f"Expected JSON with a verdict a question, and got {shown(text)}.", why=why) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _only_json(text: str, reply: Reply) -> str:
    """The one JSON value of a text with other words.

    Raises:
        UnreadableReply: there are several different ones, or it is not meant; where there is none, the text itself is
            returned.
    """
    fenced = list(_FENCE.finditer(text))
    if len({block[1].strip() for block in fenced}) > 1:
        raise UnreadableReply("The answer holds several different blocks of code.")
    if fenced:
        _refuse_unmeant(text, fenced[0].start(), fenced[-1].end())
        return fenced[0][1].strip()
    start = min((place for place in map(text.find, "{[") if place >= 0), default=0)
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return text
    if re.search(r"[{\[]", text[end:]):
        raise UnreadableReply("The answer holds more than one JSON value.")
    _refuse_unmeant(text, start, end)
    return text[start:end]


def _refuse_unmeant(text: str, start: int, end: int) -> None:
    """Refuse a value at [start, end) that is an example, or that is taken back; raises `UnreadableReply`."""
    if is_example(text[:start]) or takes_back(text, end):
        raise UnreadableReply("The answer gives its verdicts as an example, or takes them back.")


def _by_id(found: Any, questions: Sequence[Question], *, whole: bool = True) -> list[Verdict]:  # noqa: ANN401
    ids = [question.id for question in questions]
    if not isinstance(found, Mapping) or set(found) - set(ids) or (whole and len(found) != len(ids)) or not found:
        raise UnreadableReply(f"Expected an object with the keys {', '.join(ids[:20])}, and got {shown(found)}.")
    return _checked([found.get(name) for name in ids])


def _in_order(found: Sequence[object], questions: Sequence[Question]) -> list[Verdict]:
    if len(found) != len(questions):
        raise UnreadableReply(f"Expected {len(questions)} verdicts, and got {len(found)}.")
    return _checked(found)


def _checked(found: Sequence[object]) -> list[Verdict]:
    try:
        return [verdict_of(value) for value in found]
    except ValueError as fault:
        raise UnreadableReply(f"Expected a verdict a question: {fault}.") from None


def shown(value: object) -> str:
    """A value in a message: on one line, at most 80 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
