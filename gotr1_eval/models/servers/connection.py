"""The connection to a server: address, key and headers as they can be sent, limits on what comes back, and what it may
cost in tokens or in money from the start of the process."""

from __future__ import annotations

import base64
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from gotr1_eval.core.errors import BackendError, BudgetError, UsageError, one_line
from gotr1_eval.core.protocols import Spent
from gotr1_eval.core.secrets import names_secret, register
from gotr1_eval.models.servers.fleet import Fleet, Server
from gotr1_eval.models.servers.health import Health
from gotr1_eval.models.servers.replies import read_reply
from gotr1_eval.models.servers.retrying import Patience
from gotr1_eval.models.servers.settings import ServerSettings

if TYPE_CHECKING:
    from openai import OpenAI

MOST_BYTES = 2**24
"""Of a reply in text; the longest answers and lists of log-probabilities have a hundredth of it."""
_MOST_PACKED = 2**18
"""Of a reply that is packed although we ask for plain ones: a thousand times as much may come out."""
_CONNECT_S = 10.0
_HARMLESS = frozenset({"user-agent", "http-referer", "referer", "x-title", "accept", "content-type"})
"""Headers whose values are no secrets; those of all others may be."""
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def api_key(settings: ServerSettings) -> str:
    """The key of the settings, from the environment; ``none`` where there is none.

    Raises:
        UsageError: it holds what cannot be sent.
    """
    name = settings.api_key_env
    return _sendable(os.environ.get(name, ""), f"the key in {name}", between="") or "none"


def read_headers(settings: ServerSettings) -> dict[str, str]:
    """The headers of the settings, those from the environment filled in.

    Raises:
        UsageError: a variable is not set, or a name or a value cannot be sent.
    """
    found = {}
    for name, value in settings.headers.items():
        where = f"the header {name!r}"
        if not _HEADER.fullmatch(name):
            raise UsageError(f"headers: expected the name of a header, got {name!r}")
        if value.startswith("$"):
            where += f" from {value[1:]}"
            if not (value := os.environ.get(value[1:], "")):
                raise UsageError(f"{where}: the environment variable is not set")
        found[name] = _sendable(value, where, between=" ", secret=name.lower() not in _HARMLESS)
    return found


def split_address(address: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """(what may be shown, headers, query) of an address: a name and a password become a header, as browsers do it."""
    parts: SplitResult = urlsplit(address)
    before, at, host = parts.netloc.rpartition("@")
    headers = {}
    if at:
        basic = base64.b64encode(unquote(before).encode()).decode()
        register(basic, unquote(before.partition(":")[2] or before))
        headers["Authorization"] = f"Basic {basic}"
    query = dict(parse_qsl(parts.query))
    register(*(value for name, value in query.items() if names_secret(name)))
    return parts._replace(netloc=host, query="", fragment="").geturl(), headers, query


def open_fleet(
    owner: object, settings: ServerSettings, probe: Callable[[Server], object], most_bytes: int = MOST_BYTES
) -> Fleet:
    """The servers of the settings, whose connections are closed with their owner; asks nothing yet.

    Args:
        probe: asks a server that was left out the small question.
        most_bytes: of a reply.

    Raises:
        UsageError: the key, a header or a proxy cannot be used.
    """
    key, headers = api_key(settings), read_headers(settings)
    opened = [open_client(address, settings, key, headers, most_bytes) for address in settings.base_url]
    # With the model, and not in whatever order the collector finds clients and sockets.
    weakref.finalize(owner, _close, [client for _, client in opened])
    return Fleet(
        [Server(shown, client, Health(first_pause_s=settings.probe_s)) for shown, client in opened],
        workers=settings.workers,
        patience=Patience(retries=settings.retries, first_wait_s=settings.first_wait_s),
        eject_after=settings.eject_after,
        probe=probe,
    )


def _close(clients: Sequence[OpenAI]) -> None:
    for client in clients:
        client.close()


def open_client(
    address: str, settings: ServerSettings, key: str, headers: Mapping[str, str], most_bytes: int = MOST_BYTES
) -> tuple[str, OpenAI]:
    """(the address as it may be shown, a client for it); asks nothing yet.

    Raises:
        UsageError: the environment names a proxy that cannot be used.
    """
    from openai import DefaultHttpxClient, OpenAI, Timeout

    shown, own, query = split_address(address)
    try:
        # Nothing follows redirections: keys and pictures are for the address that the user gave.
        http = DefaultHttpxClient(
            follow_redirects=False,
            event_hooks={"response": [partial(limit_body, seconds=settings.timeout_s, most_bytes=most_bytes)]},
            timeout=Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s)),
        )
    except ImportError as error:
        raise UsageError(
            f"the environment names a SOCKS proxy (ALL_PROXY, HTTPS_PROXY), which needs the package socksio "
            f"({one_line(error, 80)}); install it, unset the variable, or set NO_PROXY={urlsplit(shown).hostname}"
        ) from None
    except ValueError as error:
        raise UsageError(f"a proxy that the environment names (ALL_PROXY, ...): {one_line(error, 120)}") from None
    # Retries are our own: the client's are not counted in what we report, and end too early.
    client = OpenAI(
        base_url=shown,
        api_key=key,
        max_retries=0,
        http_client=http,
        default_query=query or None,
        default_headers={"Accept-Encoding": "identity", **own, **headers},
    )
    return shown, client


def served_names(client: OpenAI) -> list[str] | None:
    """Names of the models that the server lists, None where it lists none."""
    from openai import OpenAIError

    try:
        listed = read_reply(client.models.with_raw_response.list().http_response.content, "a list of models")
        return [one_line(entry["id"], 80) for entry in listed["data"]]
    except (OpenAIError, BackendError, LookupError, TypeError):
        return None


def limit_body(response: Any, seconds: float, most_bytes: int = MOST_BYTES) -> None:  # noqa: ANN401 (httpx or httpx2, as openai has it)
    """Make reading the response's body fail when it is endless, in bytes or in time.

    An HTTP client's own time-out is for silence, and a byte a second is not silent.
    """
    packed = response.headers.get("content-encoding", "identity") != "identity"
    stream, most = response.stream, _MOST_PACKED if packed else most_bytes
    until = time.monotonic() + seconds

    def pieces(_: object) -> Iterator[bytes]:
        size = 0
        for piece in stream:
            size += len(piece)
            if size > most:
                raise BackendError(f"the reply is longer than {most:,} bytes")
            if time.monotonic() > until:
                raise BackendError(f"the reply did not end within {seconds:g} seconds of its beginning")
            yield piece

    base = import_module(type(response).__module__.partition(".")[0]).SyncByteStream
    response.stream = type("LimitedStream", (base,), {"__iter__": pieces, "close": lambda _: stream.close()})()


def _sendable(value: str, where: str, *, between: str, secret: bool = True) -> str:
    """A value as HTTP can send it: what copying leaves around it (line ends, quotes, marks of byte order) is taken off.

    Args:
        between: what else than ASCII's visible signs it may hold.
    """
    if secret:
        register(value, *value.split())
    value = value.strip(" \t\r\n\v\f\ufeff\u200b\u00a0")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    for place, sign in enumerate(value, start=1):
        if not ("!" <= sign <= "~" or sign in between):
            told = "a line end" if sign in "\r\n" else "a blank" if sign.isspace() else "no sign of ASCII"
            raise UsageError(f"{where} cannot be sent: sign {place} of {len(value)} is {told}; copy it once more")
    return value


class Budget:
    """Counts what was spent, for any number of threads.

    Args:
        most: of questions and answers together; None for no limit.
        cost: in the currency of the prices; None for no limit.
        prices: of one unit of questions, and of answers.
        unit: what is counted, in the plural.
        whose: the budget is, for the message when it is spent.
    """

    def __init__(
        self,
        most: int | None,
        cost: float | None,
        prices: tuple[float, float],
        *,
        unit: str = "tokens",
        whose: str = "the judge model's",
    ) -> None:
        self._most, self._cost, self._prices, self._unit, self._whose = most, cost, prices, unit, whose
        self._lock = threading.Lock()
        self._spent = (0, 0)

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._most is not None or self._cost is not None

    @property
    def units(self) -> int:
        """Spent so far."""
        return sum(self._spent)

    @property
    def cost(self) -> float:
        """Spent so far."""
        return sum(count * price for count, price in zip(self._spent, self._prices, strict=True))

    @property
    def spent(self) -> bool:
        """Whether a limit is reached; requests under way at that moment are still paid for."""
        over = self._most is not None and self.units >= self._most
        return over or (self._cost is not None and self.cost >= self._cost)

    def told(self, name: str) -> Spent:
        """Spent so far, under the model's name."""
        asked, answered = self._spent
        cost = self.cost if any(self._prices) else None
        return Spent(name=name, unit=self._unit, asked=asked, answered=answered, cost=cost)

    def spend(self, asked: int, answered: int) -> None:
        """Units of a question and its answer."""
        with self._lock:
            self._spent = (self._spent[0] + asked, self._spent[1] + answered)

    def check(self) -> None:
        """Raises BudgetError once a limit is reached."""
        if self.spent:
            raise BudgetError(
                f"{self._whose} budget is spent ({self}); what was done is saved, and the same command goes on with a "
                "new one"
            )

    def __str__(self) -> str:
        told = f"{self.units:,}" + (f" of {self._most:,}" if self._most is not None else "") + f" {self._unit}"
        if any(self._prices):
            told += f", cost {self.cost:.2f}" + (f" of {self._cost:.2f}" if self._cost is not None else "")
        return told
