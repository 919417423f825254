"""TIIF-Bench's replies: one line a question, beginning with yes or no.

Source: A113N-W3I/TIIF-Bench@3aae750, eval/eval_with_vlm.py:127 (extract_yes_no). A reply with another number of such
lines is asked again there, for ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.checklist.context import takes_back
from benchmarks.checklist.reading import by_number, unnumbered
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.reading.reply import answer_part, declines

_LINE = re.compile(r"(yes|no)\b", re.I)
_CERTAIN = re.compile(r"(yes|no)\b(?![*_\"']*\s*(?:/|\?|or\b)|\.?\s?\d)", re.I)
"""A verdict with or without its reason behind it ("no The cup is red."), and not "yes or no" or "No.1 is red"."""


def read_lines(text: str, questions: int) -> list[str]:
    """The verdicts of a reply, ``yes`` or ``no`` each, in the order of the questions.

    Lines that begin with another word are passed over; so are "1. yes", "- yes" and "**yes**".

    Raises:
        UnreadableReply: not one line a question.
    """
    lines = (line.strip() for line in text.strip().split("\n"))
    found = [match[1].lower() for line in lines if (match := _LINE.match(line))]
    if len(found) != questions:
        raise UnreadableReply(f"{questions} lines that begin with yes or no were asked for, not {len(found)}.")
    return found


def read_certainly(text: str, questions: int, finish: str | None = None) -> list[str]:
    """The same of the answer behind the last thought; verdicts may be numbered, bulleted or bold.

    The first line must be a verdict; another line without one is the reason for the verdict above it. Numbers are the
    questions', in whatever order.

    Raises:
        UnreadableReply: it begins with something else ("No.1 is red", "yes or no"), has not one verdict a question or
            numbers other than theirs, declines to answer, or takes a verdict back.
    """
    answer = answer_part(text, finish=finish)
    lines = [unnumbered(line) for line in answer.splitlines() if line.strip()]
    said = [(number, _verdict(line)) for number, line in lines]
    _refuse_declined([line for _, line in lines])
    verdicts = by_number([(number, verdict) for number, verdict in said if verdict])
    if len(verdicts) != questions or not said[0][1] or takes_back(answer, 0):
        raise UnreadableReply(
            f"{questions} lines were asked for, each beginning with yes or no, and the first with one."
        )
    return verdicts


def _verdict(line: str) -> str:
    found = _CERTAIN.match(line)
    return found[1].lower() if found else ""


def _refuse_declined(lines: Sequence[str]) -> None:
    """Refuse an answer of which all verdicts, or a line without one, say that no picture was seen.

    One verdict alone may speak of a picture in the picture that was asked about ("no, there is no picture").

    Raises:
        UnreadableReply: it is one.
    """
    declined = [(_verdict(line) != "", declines(line)) for line in lines]
    verdicts = [refused for verdict, refused in declined if verdict]
    if (verdicts and all(verdicts)) or any(refused for verdict, refused in declined if not verdict):
        raise UnreadableReply("The answer declines to answer.", why=Why.REFUSED)
