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
_PASSING = frozenset({408, 409, 425, 429})
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


def ask_patiently(call: Callable[[], T], patience: Patience, *, sleep: Callable[[float], None] = time.sleep) -> T:
    """What `call` returns, once it does.

    Retried are lost connections, time-outs, replies that are no chat completion, and the states 408, 409, 425, 429 and
    5xx; `Retry-After` is honoured.

    Raises:
        UsageError: the state 401, 403, 404 or 405: key, model name or address are wrong for every request.
        RejectedError: another state 4xx.
        BackendError: every attempt failed; the message tells the last failure and the number of attempts.
    """
    from openai import APIConnectionError, APIStatusError

    attempt = 0
    while True:
        asked_for = None
        try:
            return call()
        except APIConnectionError as error:
            failure = f"no answer ({one_line(error.__cause__ or error, 120) or type(error).__name__})"
        except APIStatusError as error:
            failure = f"state {error.status_code} ({one_line(error.message, 160)})"
            asked_for = retry_after(error.response.headers)
            _stop_where_final(error.status_code, failure)
        except RejectedError:
            raise
        except BackendError as error:
            failure = str(error)
        if attempt == patience.retries:
            raise BackendError(f"{failure}; gave up after {attempt + 1} attempts")
        sleep(patience.wait(attempt, asked_for))
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
