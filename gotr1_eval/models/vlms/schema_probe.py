"""Whether a server holds answers to a form: found out by asking, since some say yes and ignore it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading.reply import UnreadableReply, answer_part
from gotr1_eval.core.types import Json
from gotr1_eval.models.servers.retrying import RejectedError, ask_once
from gotr1_eval.models.vlms.wire import Answer

log = logging.getLogger(__name__)

_WORD = "marzipan"
"""What nobody answers to the question below unless nothing else is allowed."""


_WHOLE: dict[str, Json] = {"type": "integer", "minimum": 0, "maximum": 9}
_FIELDS: dict[str, Json] = {
    "word": {"type": "string", "enum": [_WORD]},
    "note": {"type": "string", "maxLength": 20},
    "mark": {"type": "number", "enum": [0, 0.5]},
    "boxes": {
        "type": "array",
        "maxItems": 1,
        "items": {"type": "array", "items": _WHOLE, "minItems": 4, "maxItems": 4},
    },
}
"""The word, and beside it every keyword of the judges' forms: a server that rejects one shows it here."""
_FORM: dict[str, Json] = {
    "type": "object",
    "properties": _FIELDS,
    "required": [*_FIELDS],
    "additionalProperties": False,
}
_QUESTION = Request(prompt="Which animal barks?", form=_FORM)


def held_question(length: int) -> Request:
    """The question whose form admits one word; an answer has room for `length` tokens, a thought included."""
    return replace(_QUESTION, max_tokens=length)


def fault_of(ask: Callable[[Request], Answer], length: int, first: Answer | None) -> str:
    """Why a server's answers are not to be held to a form; empty where nothing speaks against it.

    Args:
        ask: one attempt at the server.
        length: of an answer, in tokens.
        first: the answer to `held_question`, where it was asked already.
    """
    held = held_question(length)
    try:
        answer = first or ask_once(lambda: ask(held))
    except RejectedError as error:
        return f"it rejects response_format ({error})"
    if not answer.text.strip():
        return f"a question with a form got no answer within {held.max_tokens} tokens (setting max_tokens)"
    if not _follows(answer):
        return "it ignores response_format"
    if _thinks_aloud(ask(replace(held, form=None))):
        return "its model thinks in its answers, which a form would suppress; give the server a reasoning parser"
    return ""


def agreed(faults: Mapping[str, str], model: str, *, insisted: bool) -> bool:
    """Whether the servers of a model hold answers to a form, all or none of them; none is told once.

    Args:
        faults: what speaks against it, by the server's address; empty for nothing.
        insisted: the settings want it in any case.

    Raises:
        UsageError: the servers differ, or what is insisted on is not to be had.
    """
    told = "; ".join(f"{url}: {fault}" for url, fault in faults.items() if fault)
    if told and insisted:
        raise UsageError(f"constrained = true cannot be had: {told}")
    if told and not all(faults.values()):
        raise UsageError(
            f"the servers of a fleet must be of one mode, and not all hold answers to a form: {told}; leave these "
            "out, or set constrained = false"
        )
    if told:
        log.warning("answers of %s are free text, not held to a form: %s", model, told)
    return not told


def _follows(answer: Answer) -> bool:
    """Whether an answer to the question was held to its form."""
    try:
        value = json.loads(answer.text)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("word") == _WORD


def _thinks_aloud(answer: Answer) -> bool:
    """Whether a free answer to a question of one word holds a thought, which a form would suppress.

    A template may open the thought where nobody sees it: then only an answer that does not end tells.
    """
    text = answer.text.strip()
    if not text:
        return False
    try:
        said = answer_part(text, finish=answer.finish).strip()
    except UnreadableReply:
        return True
    return answer.finish == "length" or not said or not text.startswith(said)
