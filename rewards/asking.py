"""Asking a language-vision model and reading what it says, with one second chance.

An answer that cannot be read is sent back once, together with the reader's complaint: a model that decodes greedily
would only repeat itself otherwise. What still cannot be read is `Unscored`, with every raw reply kept. An answer that
was held to a form has nothing left to complain of but that it was cut off or declines to answer, and has no second
chance otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request, Vlm
from gotr1_eval.core.reading import UnreadableReply

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What was read, and every reply on the way to it."""

    value: T
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class _Unread:
    """A reply that could not be read, and why."""

    reply: Reply
    fault: UnreadableReply


def ask_all(vlm: Vlm, requests: Sequence[Request], read: Callable[[int, Reply], T]) -> list[Answer[T] | Unscored]:
    """Ask every request, re-ask once those whose answer cannot be read.

    Args:
        read: (index of the request, its reply) -> the value; raises `UnreadableReply`.

    Returns:
        One answer a request, in order; `Unscored` where the model failed or could not be read twice.
    """
    results = [_read(read, index, reply) for index, reply in enumerate(vlm.reply(requests) if requests else [])]
    again = [index for index, result in enumerate(results) if _may_try_again(requests[index], result)]
    second = vlm.reply([_complain(requests[index], results[index]) for index in again]) if again else []
    for index, reply in zip(again, second, strict=True):
        results[index] = _second(results[index], _read(read, index, reply))
    return [_final(result) for result in results]


def _read(read: Callable[[int, Reply], T], index: int, reply: Reply | Unscored) -> Answer[T] | Unscored | _Unread:
    if isinstance(reply, Unscored):
        return reply
    try:
        return Answer(read(index, reply), (reply,))
    except UnreadableReply as fault:
        return _Unread(reply, fault)


def _may_try_again(request: Request, result: object) -> bool:
    return isinstance(result, _Unread) and (request.form is None or result.fault.why is not Why.UNREADABLE)


def _complain(request: Request, unread: object) -> Request:
    """The request with the unreadable answer and the complaint as one more round."""
    assert isinstance(unread, _Unread)
    return replace(request, followups=(*request.followups, (unread.reply.text, str(unread.fault))))


def _second(
    first: Answer[T] | Unscored | _Unread, then: Answer[T] | Unscored | _Unread
) -> Answer[T] | Unscored | _Unread:
    """The outcome of the second round with the first round's reply kept before it."""
    assert isinstance(first, _Unread)
    if isinstance(then, Answer):
        return Answer(then.value, (first.reply, *then.replies))
    if isinstance(then, _Unread):
        return Unscored(why=then.fault.why, detail=str(then.fault), replies=(first.reply, then.reply))
    return replace(then, replies=(first.reply, *then.replies))


def _final(result: Answer[T] | Unscored | _Unread) -> Answer[T] | Unscored:
    if isinstance(result, _Unread):
        return Unscored(why=result.fault.why, detail=str(result.fault), replies=(result.reply,))
    return result
