"""TIIF-Bench's replies: one line a question, beginning with yes or no.

Source: A113N-W3I/TIIF-Bench@3aae750, eval/eval_with_vlm.py:127 (extract_yes_no). A reply with another number of such
lines is asked again there, for ever.
"""

from __future__ import annotations

import re

from gotr1_eval.core.reading import UnreadableReply

_LINE = re.compile(r"(yes|no)\b", re.I)


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
