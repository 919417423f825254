"""TIIF-Bench's replies: one line a question, beginning with yes or no.

Source: A113N-W3I/TIIF-Bench@3aae750, eval/eval_with_vlm.py:127 (extract_yes_no). A reply with another number of such
lines is asked again there, for ever.
"""

from __future__ import annotations

import re

from benchmarks.checklist.reading import given_answer
from gotr1_eval.core.reading import UnreadableReply

_LINE = re.compile(r"(yes|no)\b", re.I)
_DRESSED = re.compile(r"[\s>*_`\"'(-]*(?:\d{1,3}[.):]\s*)?[\s*_`\"']*(yes|no)\b(?!\.?\d|\s*(?:/|or\b))", re.I)


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

    The first line must be a verdict; another line without one is the reason for the verdict above it.

    Raises:
        UnreadableReply: it begins with something else ("No.1 is red", "yes or no"), has not one verdict a question, or
            declines to answer.
    """
    lines = [line for line in given_answer(text, finish).splitlines() if line.strip()]
    found = [match[1].lower() if (match := _DRESSED.match(line)) else "" for line in lines]
    verdicts = list(filter(None, found))
    if len(verdicts) != questions or not found[0]:
        raise UnreadableReply(
            f"{questions} lines were asked for, each beginning with yes or no, and the first with one."
        )
    return verdicts
