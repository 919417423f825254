"""What every reader of a model's answer shares: the error it raises, and where the answer begins."""

from __future__ import annotations

import re

from gotr1_eval.core.outcome import Why

MOST_DELIMITERS = 50_000
"""A list of two thousand named boxes stays far below."""

_THOUGHT = re.compile(r"<(think|thinking|thought)>", re.I)
_END_OF_THOUGHT = re.compile(r"</(?:think|thinking|thought)>", re.I)
_STOP_TOKEN = re.compile(r"(?:<\|(?:im_end|endoftext|eot_id|end)\|>|<end_of_turn>|</s>)\s*\Z")
_REFUSAL = re.compile(
    r"\b(?:i(?:['’]m| am) (?:very |really |truly )?(?:sorry|unable|not able)"
    r"|i (?:can['’]?t|cannot|can not|won['’]?t|will not|am unable to) "
    r"(?:\w+ ){0,2}?(?:assist|help|provide|evaluate|comply|rate|score|judge|see|view|access|answer|do|analy[sz]e)"
    r"|as an ai\b|(?:please )?provide (?:me with )?the images?)",
    re.I,
)


class UnreadableReply(ValueError):  # noqa: N818 - what it is, as in `Unscored`
    """No value can be read from a model's answer with certainty.

    Its text is one sentence that can be sent back to the model when it is asked again.

    Attributes:
        why: `UNREADABLE`, `TRUNCATED` or `REFUSED`.
    """

    def __init__(self, complaint: str, *, why: Why = Why.UNREADABLE) -> None:
        self.why = why
        super().__init__(complaint)


def answer_part(text: str, *, finish: str | None) -> str:
    """The answer without the thoughts written before it between `<think>` and `</think>`.

    The opening tag may be missing, for some chat templates put it into the prompt.

    Raises:
        UnreadableReply: the thoughts were never closed, so that no answer was given; or the text holds more brackets
            and commas than any answer does (a runaway repetition, which would take seconds to read).
    """
    if sum(map(text.count, "[{(,")) > MOST_DELIMITERS:
        raise UnreadableReply(
            "The answer never comes to an end.", why=Why.TRUNCATED if finish == "length" else Why.UNREADABLE
        )
    text = _without_stop_tokens(text)
    ends = list(_END_OF_THOUGHT.finditer(text))
    answer = text[ends[-1].end() :] if ends else text
    if opening := _THOUGHT.search(answer):
        # A thought that was never closed may well hold drafts; none of them is the answer.
        answer = answer[: opening.start()]
        if not answer.strip():
            why = Why.UNREADABLE if finish == "stop" else Why.TRUNCATED
            raise UnreadableReply("The answer ended inside the thoughts, before a value was given.", why=why)
    return answer


def _without_stop_tokens(text: str) -> str:
    end = len(text)
    while ending := _STOP_TOKEN.search(text, max(0, end - 40), end):
        end = ending.start()
    return text[:end]


def nothing_found(answer: str, asked: str, *, finish: str | None, cut: bool) -> UnreadableReply:
    """The error for an answer that declares nothing of what was asked.

    Args:
        answer: what was searched.
        asked: what was looked for, as the object of "The answer holds no ...".
        finish: why the model stopped, where known.
        cut: the answer ends inside an open bracket.
    """
    if finish == "length" or (cut and finish != "stop"):
        return UnreadableReply(f"The answer was cut off before its {asked} was complete.", why=Why.TRUNCATED)
    if _REFUSAL.search(answer):
        return UnreadableReply(f"The answer declined to give a {asked}.", why=Why.REFUSED)
    return UnreadableReply(f"The answer holds no {asked} that can be read.")
