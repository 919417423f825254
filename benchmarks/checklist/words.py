"""Verdicts in words: one answer of a word, a count or a short sentence, as 1 (as expected), 0 (another) or unread.

What is expected tells which answers there are: yes and no, counts (`counts`), or open words (`open_words`). Right and
wrong answers are read from the same forms, so that what is left unread favours neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from benchmarks.checklist.context import is_quoted, takes_back
from benchmarks.checklist.counts import Count, value_of
from benchmarks.checklist.open_words import OpenWords
from benchmarks.checklist.reading import YES_NO, given_answer, refuse_declined, shown
from gotr1_eval.core.checklist import Question
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.reading import UnreadableReply

_ORNAMENT = " \t\r\n*_`\"'.!"
_FIRST_WORD = re.compile(r"[\W_]*([\w-]+)[*_\"'”’)\]]*")
_GOES_ON = {
    "yes": re.compile(r"\s*(?:/|\?|or\b)|[ \t]+(?:would|could|might|may|should|is|was|were)\b", re.I),
    "no": re.compile(
        r"\s*(?:/|\?|or\b)|\.?\s?[#\d]"
        r"|[ \t]+(?!(?:it|there|they|he|she|this|that|these|those|the|an?|its|his|her|their|since|as|because)\b)\w",
        re.I,
    ),
}
"""After a first word that is then no verdict: "yes or no", "yes would be", "No.1 is red", "no cat is to be seen".

"no The cat is grey" is one, as "yes The cat is red" is.
"""
_OTHER = {"yes": re.compile(r"\bno\b(?![ \t]+\w)", re.I), "no": re.compile(r"\byes\b", re.I)}
"""What takes a verdict back when it stands anywhere in the answer; the "no" of "no dog" does not."""
_CONDITION = re.compile(
    r"[\s,(*–—-]*(?:maybe|perhaps|possibly)\b"
    r"|[^.!?\n]{0,300}?(?<!\bas )(?<!\beven )\b(?:if|unless|provided that|assuming|supposing|depend(?:s|ing)"
    r"|not (?:sure|certain)|unsure|uncertain|hard to (?:say|tell)|can(?:not|'t| not) (?:tell|say|be sure))\b",
    re.I,
)
"""In the verdict's own sentence, what makes it conditional or unsure."""
_LABEL = re.compile(
    r"[\s*_#>]*(?:(?:so|therefore|thus|hence|in conclusion),? )?(?:(?:the|my) )?(?:(?:final|short|correct) )?"
    r"(?:answer|verdict)(?:[*_]*\s?[:=][*_]*|[*_]* is:?)\s*",
    re.I,
)
_LAST_SENTENCE = re.compile(r"[.!?] +(?=(?:so|therefore|thus|hence|the|my)\b)", re.I)
_TAGGED = re.compile(r"<(answer|verdict|final_answer)>([^<>]{0,400})</\1>", re.I)
_BOXED = re.compile(r"\\boxed\s?\{(?:\\text(?:bf)?\s?\{)?([^{}]{0,200})\}{1,2}\$*")
_BOX_TOKENS = re.compile(r"<\|(?:begin|end)_of_box\|>")
_FENCED = re.compile(r"```[a-z]*\n([^`]*)```", re.I)
_DECLARED_KEYS = ("answer", "final_answer", "verdict")


class _Kind(Protocol):
    """How the answers to a question are told from other words, and right ones from wrong ones."""

    @property
    def expected(self) -> frozenset[str]:
        """The right answers, in lower case."""

    def whole(self, said: str) -> float | None:
        """The verdict of words in lower case that are the whole answer; None where they are none."""

    def leading(self, text: str) -> tuple[float, int] | None:
        """The verdict of a text that begins with its answer, and where that ends; None where it begins otherwise."""

    def contradicts(self, text: str, verdict: float) -> bool:
        """Whether a text with that verdict holds another answer beside it."""


def strict_word(reply: Reply, question: Question) -> float:
    """1 where the whole reply is one of the expected answers, 0 where it is another answer; any case, final full stop.

    Another answer to a question that expects yes or no is yes or no, to one that expects a number a number, and else
    one word that can be an answer.

    Raises:
        UnreadableReply: it is anything else.
    """
    kind = _kind_of(question)
    said = reply.text.strip().removesuffix(".").lower()
    verdict = kind.whole(said) if said in kind.expected or " " not in said else None
    if verdict is None:
        raise _no_answer(reply.text, kind)
    return verdict


def lenient_word(reply: Reply, question: Question) -> float:
    """The same for the first words of the answer, or a last line that holds the answer alone.

    The answer may be labelled ("Answer: yes", "So the answer is no."), tagged, boxed, or in an object under "answer".

    Raises:
        UnreadableReply: nothing there is a verdict, there are different ones, or other words take it back, leave it
            open or decline to answer; "yes or no", "no cat is there", "three or four" and "red or blue" are none.
    """
    text = _BOX_TOKENS.sub("", given_answer(reply.text, reply.finish)).strip()
    kind = _kind_of(question)
    before, answer = _declared(text)
    found = {said[0] for part in (before, answer) if (said := kind.leading(part)) is not None}
    if (last := kind.whole(_last_line(answer))) is not None:
        found.add(last)
    if len(found) != 1 or kind.contradicts(answer, verdict := found.pop()) or _is_taken_back(kind, answer):
        raise _no_answer(text, kind)
    return verdict


def _is_taken_back(kind: _Kind, answer: str) -> bool:
    """Whether words behind the answer retract it."""
    said = kind.leading(answer)
    return said is not None and takes_back(answer, said[1])


def _last_line(text: str) -> str:
    """The last line, bare and in lower case; empty where the line above says that somebody else says it."""
    above, _, last = text.rpartition("\n")
    return "" if is_quoted(above) else last.strip(_ORNAMENT).lower()


def _declared(text: str) -> tuple[str, str]:
    """The words before a declared answer, and the answer: the text itself where none is declared."""
    inside = _of_object(text)
    if inside is not None:
        return "", inside
    for form in (_TAGGED, _BOXED):
        found = list(form.finditer(text))
        if (
            found
            and not text[found[-1].end() :].strip(_ORNAMENT)
            and len({one[one.lastindex or 0] for one in found}) == 1
        ):
            return text[: found[0].start()], found[0][found[0].lastindex or 0].strip()
    if label := _LABEL.match(text):
        return "", text[label.end() :]
    start = text.rfind("\n") + 1
    start = max([start, *(found.end() for found in _LAST_SENTENCE.finditer(text, start))])
    label = _LABEL.match(text, start)
    if label is None or is_quoted(text[:start]):
        return "", text
    return text[:start], text[label.end() :]


def _of_object(text: str) -> str | None:
    """The answer of an object that is the whole text, fenced or not; None where there is none, or several.

    Raises:
        UnreadableReply: a text of the object declines to answer.
    """
    fenced = _FENCED.fullmatch(text)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping):
        return None
    for value in found.values():
        refuse_declined(value if isinstance(value, str) else "")
    said = [value for key, value in found.items() if key.lower().replace(" ", "_") in _DECLARED_KEYS]
    if len(said) != 1 or not isinstance(said[0], str | int):
        return None
    return {True: "yes", False: "no"}[said[0]] if isinstance(said[0], bool) else str(said[0])


def _kind_of(question: Question) -> _Kind:
    expected = frozenset(answer.strip().lower() for answer in question.answers)
    if expected & set(YES_NO):
        return _YesNo(expected)
    if any(value_of(answer) is not None for answer in expected):
        return Count(expected, question.text)
    return OpenWords(expected)


@dataclass(frozen=True, slots=True)
class _YesNo:
    """Answers to a question that expects yes or no."""

    expected: frozenset[str]

    def whole(self, said: str) -> float | None:
        return float(said in self.expected) if said in self.expected or said in YES_NO else None

    def leading(self, text: str) -> tuple[float, int] | None:
        first = _FIRST_WORD.match(text)
        if first is None or (verdict := self.whole(word := first[1].lower())) is None:
            return None
        goes_on = word in _GOES_ON and _GOES_ON[word].match(text, first.end()) is not None
        return None if goes_on or _CONDITION.match(text, first.end()) else (verdict, first.end())

    def contradicts(self, text: str, verdict: float) -> bool:
        said = "yes" if (verdict == 1) == ("yes" in self.expected) else "no"
        return _OTHER[said].search(text) is not None


def _no_answer(text: str, kind: _Kind) -> UnreadableReply:
    wanted = " or ".join(sorted(kind.expected))
    wanted = "yes or no" if isinstance(kind, _YesNo) else f"{wanted}, or another such word"
    return UnreadableReply(f"Expected {wanted}, and got {shown(text)}.")
