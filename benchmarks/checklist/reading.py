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

from gotr1_eval.core.checklist import NUMBERS, Question, Verdict
from gotr1_eval.core.outcome import Reply, Why
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.reading.reply import answer_part

_YES_NO = {"yes": 1.0, "no": 0.0}
_NUMBER_OF = {**NUMBERS, "zero": "0", "none": "0"}
_ONE_WORD = re.compile(r"[\w-]+")
_FIRST_WORD = re.compile(r"[\W_]*([\w-]+)")
_GOES_ON = {"yes": re.compile(r"\s*(?:/|or\b)", re.I), "no": re.compile(r"\s*(?:/|or\b)|\.?\d|[ \t]+\w", re.I)}
"""After a first word that is then no verdict: "yes or no", "No.1 is red", "no cat is to be seen"."""
_OTHER = {"yes": re.compile(r"\bno\b(?![ \t]+\w)", re.I), "no": re.compile(r"\byes\b", re.I)}
"""What takes a verdict back when it stands anywhere in the answer; the "no" of "no dog" does not."""
_UNSURE = frozenset(
    {"unsure", "unknown", "unclear", "uncertain", "undetermined", "maybe", "perhaps", "possibly", "sorry", "cannot"}
)
_ORNAMENT = " \t\r\n*_`\"'.!"
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s*")
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.S)


def strict_word(reply: Reply, question: Question) -> float:
    """1 where the whole reply is one of the expected answers, 0 where it is another answer; any case, final full stop.

    Another answer to a question that expects yes or no is yes or no, to one that expects a number a number.

    Raises:
        UnreadableReply: it is anything else.
    """
    said = reply.text.strip().removesuffix(".").lower()
    if not _is_answer(said, _expected(question)):
        raise _no_answer(reply.text, question)
    return float(said in _expected(question))


def lenient_word(reply: Reply, question: Question) -> float:
    """The same for the first word of the answer, or a last line that holds one word alone.

    Raises:
        UnreadableReply: neither is a verdict, they are different ones, or other words take it back; "yes or no", "no
            cat is there" and "three or four" are none.
    """
    text = answer_part(reply.text, finish=reply.finish).strip()
    said = {text.rpartition("\n")[2].strip(_ORNAMENT).lower()}
    if (first := _FIRST_WORD.match(text)) and not _goes_on(first[1].lower(), text, first.end()):
        said.add(first[1].lower())
    expected = _expected(question)
    answers = {word for word in said if _is_answer(word, expected)}
    verdicts = {word in expected for word in answers}
    if len(verdicts) != 1 or any(_is_taken_back(word, text) for word in answers):
        raise _no_answer(text, question)
    return float(verdicts.pop())


def _goes_on(word: str, text: str, end: int) -> bool:
    return word in _GOES_ON and _GOES_ON[word].match(text, end) is not None


def _is_taken_back(word: str, text: str) -> bool:
    """Whether the text holds another answer beside the word."""
    if word in _YES_NO:
        return _OTHER[word].search(text) is not None
    numbers = {_number(one) for one in _ONE_WORD.findall(text.lower()) if _is_number(one)}
    return _is_number(word) and numbers != {_number(word)}


def _is_answer(said: str, expected: frozenset[str]) -> bool:
    """Whether a word answers the question at all, rightly or wrongly."""
    if said in expected:
        return True
    if expected & set(_YES_NO):
        return said in _YES_NO
    if any(map(_is_number, expected)):
        return _is_number(said)
    return _ONE_WORD.fullmatch(said) is not None and said not in _UNSURE and said not in _YES_NO


def _is_number(word: str) -> bool:
    return word in _NUMBER_OF or word.isdecimal()


def _number(word: str) -> str:
    return _NUMBER_OF.get(word, word)


def _no_answer(text: str, question: Question) -> UnreadableReply:
    expected = sorted(_expected(question))
    wanted = "yes or no" if set(expected) & set(_YES_NO) else f"{' or '.join(expected)}, or another such word"
    return UnreadableReply(f"Expected {wanted}, and got {_shown(text)}.")


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
        UnreadableReply: nothing of the kind, or an entry that is no verdict.
    """
    found = _json_of(_only_json(answer_part(reply.text, finish=reply.finish), reply), reply)
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
    """The same with blank lines, numbers, bullets and marks of bold type.

    Raises:
        UnreadableReply: another number of lines, or another line.
    """
    lines = answer_part(reply.text, finish=reply.finish).splitlines()
    bare = [_BULLET.sub("", line).strip(_ORNAMENT) for line in lines if line.strip()]
    return _in_order(bare, questions)


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
        raise UnreadableReply(f"Expected a list between <{tag}> and </{tag}>, and got {_shown(text)}.")
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
    if isinstance(value, str) and (word := value.strip().removesuffix(".").lower()) in _YES_NO:
        return _YES_NO[word]
    raise ValueError(f"{_shown(value)} is no verdict")


def _expected(question: Question) -> frozenset[str]:
    return frozenset(answer.strip().lower() for answer in question.answers)


def _json_of(text: str, reply: Reply) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        why = Why.TRUNCATED if reply.finish == "length" else Why.UNREADABLE
        raise UnreadableReply(f"Expected JSON with a verdict a question, and got {_shown(text)}.", why=why) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _only_json(text: str, reply: Reply) -> str:
    """The one JSON value of a text with other words.

    Raises:
        UnreadableReply: there are several different ones; where there is none, the text itself is returned.
    """
    fenced = {part.strip() for part in _FENCE.findall(text)}
    if len(fenced) > 1:
        raise UnreadableReply("The answer holds several different blocks of code.")
    if fenced:
        return str(fenced.pop())
    start = min((place for place in map(text.find, "{[") if place >= 0), default=0)
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return text
    if re.search(r"[{\[]", text[end:]):
        raise UnreadableReply("The answer holds more than one JSON value.")
    return text[start:end]


def _by_id(found: Any, questions: Sequence[Question], *, whole: bool = True) -> list[Verdict]:  # noqa: ANN401
    ids = [question.id for question in questions]
    if not isinstance(found, Mapping) or set(found) - set(ids) or (whole and len(found) != len(ids)) or not found:
        raise UnreadableReply(f"Expected an object with the keys {', '.join(ids[:20])}, and got {_shown(found)}.")
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


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
