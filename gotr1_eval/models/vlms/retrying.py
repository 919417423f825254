"""Asks a server until it answers: waits longer after each failure, gives up after so many, stops at once where waiting
cannot help."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from gotr1_eval.core.errors import BackendError, UsageError, one_line

T = TypeVar("T")
_BUSY = 429
_PASSING = frozenset({408, 409, 425, _BUSY})
_MEANT_FOR_ALL = frozenset({401, 403, 404, 405})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on.

    Attributes:
        retries: attempts after the first one.
        first_wait_s: seconds before the first retry; doubled before each further one, and varied by a quarter so that
            many clients do not come back at the same moment.
        longest_wait_s: no wait is longer, also where the server asks for more.
    """

    retries: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0

    def wait(self, attempt: int, asked_for: float | None) -> float:
        """Seconds before the retry that follows attempt number `attempt`, counted from 0."""
        doubled = self.first_wait_s * 2.0**attempt * random.uniform(0.75, 1.25)
        return min(max(doubled, asked_for or 0.0), self.longest_wait_s)


class RejectedError(BackendError):
    """The server understood the request and will never answer it."""


class PassingError(BackendError):
    """This attempt failed; a later one, or another server, may do better.

    Attributes:
        asked_for: seconds that the server asked to be left alone, None where it did not say.
        busy: the server is well and has too much to do.
    """

    def __init__(self, message: str, *, asked_for: float | None = None, busy: bool = False) -> None:
        super().__init__(message)
        self.asked_for, self.busy = asked_for, busy


def ask_once(call: Callable[[], T]) -> T:
    """What `call` returns, its failures in our words.

    Raises:
        UsageError: the state 401, 403, 404 or 405: key, model name or address are wrong for every request.
        RejectedError: another state 4xx.
        PassingError: a lost connection, a time-out, a reply that is no chat completion, or the states 408, 409, 425,
            429 and 5xx.
    """
    from openai import APIConnectionError, APIStatusError

    try:
        return call()
    except APIConnectionError as error:
        cause = one_line(error.__cause__ or error, 120) or type(error).__name__
        raise PassingError(f"no answer ({cause})") from None
    except APIStatusError as error:
        state, failure = error.status_code, f"state {error.status_code} ({one_line(error.message, 160)})"
        _stop_where_final(state, failure)
        raise PassingError(failure, asked_for=retry_after(error.response.headers), busy=state == _BUSY) from None
    except (RejectedError, PassingError):
        raise
    except BackendError as error:
        raise PassingError(str(error)) from None


def ask_patiently(call: Callable[[], T], patience: Patience, *, sleep: Callable[[float], None] = time.sleep) -> T:
    """What `call` returns, once it does; what passes is waited for, and `Retry-After` honoured.

    Raises:
        UsageError, RejectedError: see `ask_once`.
        BackendError: every attempt failed; the message tells the last failure and the number of attempts.
    """
    attempt = 0
    while True:
        try:
            return ask_once(call)
        except PassingError as failure:
            if attempt == patience.retries:
                raise BackendError(f"{failure}; gave up after {attempt + 1} attempts") from None
            wait = patience.wait(attempt, failure.asked_for)
        sleep(wait)
        attempt += 1


def _stop_where_final(state: int, failure: str) -> None:
    if state in _MEANT_FOR_ALL:
        raise UsageError(f"the server refuses: {failure}; check the address, the model's name and the key") from None
    if state < 500 and state not in _PASSING:
        raise RejectedError(failure) from None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, given as such or as a date; None where it asks for nothing readable."""
    given = headers.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
