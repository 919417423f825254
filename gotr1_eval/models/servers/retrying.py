"""Asks a server until it answers: waits longer after each failure, gives up after so many, stops at once where waiting
cannot help."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from gotr1_eval.core.errors import BackendError, UsageError, one_line
from gotr1_eval.models.servers.replies import quoted

if TYPE_CHECKING:
    from openai import APIStatusError

T = TypeVar("T")
_BUSY = 429
_PASSING = frozenset({408, 409, 425, _BUSY})
_MEANT_FOR_ALL = frozenset({401, 403, 404, 405})
_UNPAID = 402
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_MODERATED = frozenset({"content_filter", "content_policy_violation", "moderation_blocked", "invalid_prompt"})


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


class RefusedError(UsageError):
    """The server refuses every request.

    Attributes:
        state: with which it does.
    """

    def __init__(self, message: str, state: int = 0) -> None:
        super().__init__(message)
        self.state = state


class RejectedError(BackendError):
    """The server understood the request and will never answer it.

    Attributes:
        complaint: all that it said.
        declined: it did because of what the request says or shows.
    """

    def __init__(self, message: str, *, complaint: str = "", declined: bool = False) -> None:
        super().__init__(message)
        self.complaint, self.declined = complaint, declined


class PassingError(BackendError):
    """This attempt failed; a later one, or another server, may do better.

    Attributes:
        asked_for: seconds that the server asked to be left alone, None where it did not say.
        busy: the server is well and has too much to do.
        silent: it took the request and said nothing, which is the slowest way to fail.
    """

    def __init__(
        self, message: str, *, asked_for: float | None = None, busy: bool = False, silent: bool = False
    ) -> None:
        super().__init__(message)
        self.asked_for, self.busy, self.silent = asked_for, busy, silent


def ask_once(call: Callable[[], T]) -> T:
    """What `call` returns, its failures in our words.

    Raises:
        RefusedError: the state 401, 402, 403, 404 or 405, a redirection or a spent quota: key, model name or address
            are wrong for every request.
        RejectedError: another state 4xx.
        PassingError: a lost connection, a time-out, a reply that is no chat completion, or the states 408, 409, 425,
            429 and 5xx.
    """
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    try:
        return call()
    except APIConnectionError as error:
        cause = one_line(error.__cause__ or error, 120) or type(error).__name__
        silent = isinstance(error, APITimeoutError) and "Connect" not in type(error.__cause__).__name__
        raise PassingError(f"no answer ({cause})", silent=silent) from None
    except APIStatusError as error:
        raise _failure(error) from None
    except (RejectedError, PassingError):
        raise
    except BackendError as error:
        raise PassingError(str(error)) from None


def ask_patiently(
    call: Callable[[], T],
    patience: Patience,
    *,
    sleep: Callable[[float], object] = time.sleep,
    hopeless: Callable[[PassingError, int], bool] = lambda failure, attempts: False,
) -> T:
    """What `call` returns, once it does; what passes is waited for, and `Retry-After` honoured.

    Args:
        hopeless: whether to give up after this failure and so many attempts, although patience would go on.

    Raises:
        UsageError, RejectedError: see `ask_once`.
        BackendError: every attempt failed; the message tells the last failure and the number of attempts.
    """
    attempt = 0
    while True:
        try:
            return ask_once(call)
        except PassingError as failure:
            if hopeless(failure, attempt + 1) or attempt == patience.retries:
                attempts = f"{attempt + 1} attempt{'s' * bool(attempt)}"
                raise BackendError(f"{failure}; gave up after {attempts}") from None
            wait = patience.wait(attempt, failure.asked_for)
        sleep(wait)
        attempt += 1


def _failure(error: APIStatusError) -> RefusedError | RejectedError | PassingError:
    """What a state says about the request, and about those that follow."""
    state, said, headers = error.status_code, _said(error), error.response.headers
    failure = f"state {state} ({one_line(said, 160)})"
    if 300 <= state < 400:
        to = one_line(headers.get("location", "nowhere"), 160)
        return RefusedError(f"the server redirects to {to}; give the address that answers itself", state)
    if state == _UNPAID or error.code in _QUOTA:
        return RefusedError(f"the server refuses: {failure}; the account behind the key has nothing left", state)
    if state in _MEANT_FOR_ALL:
        return RefusedError(f"the server refuses: {failure}; check the address, the model's name and the key", state)
    if state < 500 and state not in _PASSING:
        return RejectedError(failure, complaint=said, declined=error.code in _MODERATED)
    return PassingError(failure, asked_for=retry_after(headers), busy=state == _BUSY)


def _said(error: APIStatusError) -> str:
    """The server's own words: its message, the whole of another JSON value, or what stands on a web page."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        named = error.param if isinstance(error.param, str) and error.param not in body["message"] else ""
        return f"{body['message']} [{named}]" if named else str(body["message"])
    if isinstance(body, str):
        return quoted(body) if body.strip() else "without a word"
    return json.dumps(body)


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
