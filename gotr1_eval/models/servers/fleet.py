"""Several servers of one model: who is asked next, who is left out, and when that one is asked again.

A request goes to the well server with the fewest requests under way; if it fails there, to the next one at once. A
server that fails several times in a row, or that answers nonsense where the others are understood (see `health`), is
left out. After growing pauses one small question finds out whether it is well again; it is asked only while there is
other work to do, in a thread of its own. A lone server is never left out: there is nobody else to ask.

When nobody has answered for as long as a full load of requests takes to lose its patience, the fleet counts as dead:
who waits gives up, and who comes is sent away, until after a pause somebody is answered again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.models.servers.health import Health, babbles
from gotr1_eval.models.servers.retrying import PassingError, Patience, RejectedError, ask_once, ask_patiently

T = TypeVar("T")
Q = TypeVar("Q")
log = logging.getLogger(__name__)

_RATE_OVER_S = 30.0
_REMEMBERED = 10_000
_START_RETRIES = 3
"""Attempts after the first at the very first question: a server that is not there is told at once."""
_SILENT_ATTEMPTS = 3
"""Attempts of a request that meet silence, which costs the whole time-out each."""
_LOOK_S = 0.2
"""Seconds between two looks for a due probe while every well server is busy."""


@dataclass(slots=True, eq=False)
class Server:
    """One server and what it is doing.

    Attributes:
        client: the connection to it.
        busy_until: it asked to be left alone until then.
        probing: the small question is under way.
    """

    url: str
    client: Any
    health: Health
    under_way: int = 0
    answered: int = 0
    busy_until: float = 0.0
    probing: bool = False


class Fleet:
    """The servers behind one model's name; safe for any number of threads.

    Args:
        workers: requests under way at a time, on each server.
        probe: asks a server the small question; raises as a request does.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        workers: int,
        patience: Patience,
        eject_after: int,
        probe: Callable[[Server], object],
    ) -> None:
        self.servers = tuple(servers)
        self._workers, self._patience, self._eject_after, self._probe = workers, patience, eject_after, probe
        self._changed = threading.Condition()
        self._gave: OrderedDict[object, Server] = OrderedDict()
        self._times: deque[float] = deque()
        self._open = 0
        self._failures, self._full_load = 0, 1
        self._failed_at = 0.0
        self._dead = ""
        self._ended = threading.Event()

    def ask(self, call: Callable[[Server], T], *, last: object = None) -> T:
        """What `call` makes of a server that answers.

        Args:
            last: key of an answer that could not be read and is asked about again: it counts against the server that
                gave it, and another one is asked.

        Raises:
            UsageError: the only server refuses every request.
            RejectedError: no server takes the request.
            BackendError: all attempts failed.
        """
        avoid = self._complain(last) if last is not None else None
        if self._ended.is_set():
            raise BackendError("the run was stopped")
        if self._left_alone():
            raise BackendError(f"no server answers anybody: {self._dead}")
        return ask_patiently(
            lambda: self._round(call, avoid), self._patience, sleep=self._ended.wait, hopeless=self._hopeless
        )

    def stop(self) -> None:
        """Nobody waits for a retry any more, and nobody is asked."""
        self._ended.set()

    def ask_everyone(self, call: Callable[[Server], T], *, telling: bool = True) -> list[tuple[Server, T]]:
        """One call to each server at a time; those that do not answer are left out for now, if others do.

        Args:
            telling: whether a call that nobody answers tells that nobody is there; a question of an unusual kind does
                not.

        Raises:
            UsageError, RejectedError: a server refuses; the message names it.
            BackendError: nobody answers.
        """

        def once() -> list[tuple[Server, T]]:
            with ThreadPoolExecutor(len(self.servers)) as pool:
                waiting = [
                    (server, pool.submit(ask_once, lambda server=server: call(server))) for server in self.servers
                ]
            found, failed = [], []
            for server, future in waiting:
                try:
                    found.append((server, future.result()))
                except PassingError as error:
                    failed.append((server, error))
                except (UsageError, RejectedError) as error:
                    error.args = (f"{server.url}: {error}",)
                    raise
            if not found:
                server, first = failed[0]
                raise PassingError(f"{server.url}: {first}", busy=first.busy, silent=first.silent)
            for server, failure in failed:
                self._leave_out(server, str(failure))
            return found

        if self._left_alone():
            raise BackendError(f"no server answers anybody: {self._dead}")
        try:
            return ask_patiently(once, self._patience, hopeless=_not_there)
        except BackendError as error:
            if telling and not isinstance(error, RejectedError):
                self._dead, self._failed_at = str(error), time.monotonic()
            raise

    def _left_alone(self) -> bool:
        """Whether the only server is dead and was asked a moment ago."""
        pause = min(10.0, 4 * self._patience.first_wait_s)
        return bool(self._dead) and len(self.servers) == 1 and time.monotonic() < self._failed_at + pause

    def _hopeless(self, failure: PassingError, attempts: int) -> bool:
        """Whether to give up after so many attempts, since others fared no better or silence lasts too long."""
        with self._changed:
            if failure.busy:
                return self._ended.is_set()
            self._failed_at = time.monotonic()
            # Two rounds of silence weigh as much as a whole patience, in which many connections can be refused.
            self._failures += (self._patience.retries + 1) // 2 or 1 if failure.silent else 1
            if self._failures >= self._full_load:
                self._dead = str(failure)
            silent = failure.silent and attempts >= _SILENT_ATTEMPTS
            return bool(self._dead) or silent or self._ended.is_set()

    def _answered(self) -> None:
        """Somebody is alive; the caller holds the lock."""
        self._failures, self._dead = 0, ""

    def remember(self, key: object, server: Server) -> None:
        """Who gave the answer of that key, in case somebody complains; the oldest are forgotten."""
        with self._changed:
            self._gave[key] = server
            if len(self._gave) > _REMEMBERED:
                self._gave.popitem(last=False)

    @contextmanager
    def expecting(self, requests: int) -> Iterator[Callable[[], None]]:
        """So many requests count as queued until they are under way; call what it gives after each of them."""
        left = requests

        def done() -> None:
            nonlocal left
            with self._changed:
                left -= 1
                self._open -= 1
                self._times.append(time.monotonic())

        self._ended.clear()
        with self._changed:
            self._open += requests
            together = min(requests, self._workers * len(self.servers))
            self._full_load = (self._patience.retries + 1) * together
        try:
            yield done
        finally:
            with self._changed:
                self._open -= left

    def each(self, requests: Sequence[Q], answer: Callable[[Q], T]) -> list[T]:
        """What `answer` makes of each request, in order; as many are under way as the servers take together."""
        pool, stopped = ThreadPoolExecutor(self._workers * len(self.servers)), False
        try:
            with self.expecting(len(requests)) as done:

                def answered(request: Q) -> T:
                    found = answer(request)
                    done()
                    return found

                under_way = [pool.submit(answered, request) for request in requests]
                return [future.result() for future in under_way]
        except BaseException as error:
            self.stop()  # what waits for a retry waits in vain
            stopped = isinstance(error, KeyboardInterrupt)
            raise
        finally:
            pool.shutdown(wait=not stopped, cancel_futures=True)

    def traffic(self) -> str:
        """Servers that are well, requests under way and queued, and answers a second over the last half minute."""
        with self._changed:
            now, well = time.monotonic(), sum(server.health.well for server in self.servers)
            while self._times and self._times[0] < now - _RATE_OVER_S:
                self._times.popleft()
            span = max(now - self._times[0], 1.0) if self._times else 1.0
            under_way = sum(server.under_way for server in self.servers)
            rate, queued = len(self._times) / span, max(self._open - under_way, 0)
        return f"servers {well}/{len(self.servers)}, {under_way} under way, {queued} queued, {rate:.1f} answers/s"

    def _round(self, call: Callable[[Server], T], avoid: Server | None) -> T:
        """The first answer of the well servers, each asked once at most."""
        others = any(server.health.well for server in self.servers if server is not avoid)
        tried = [avoid] if avoid is not None and others else []
        failure: BackendError | None = None
        while (server := self._take(tried)) is not None:
            tried.append(server)
            try:
                answer = ask_once(lambda server=server: call(server))  # type: ignore[misc]
            except PassingError as error:
                failure = self._named(server, error)
                self._failed(server, error)
            except RejectedError as error:
                failure = error
                with self._changed:
                    self._answered()
            except UsageError as error:
                if len(self.servers) == 1:
                    raise
                failure = PassingError(f"{server.url}: {error}")
                self._leave_out(server, str(error))
            else:
                with self._changed:
                    self._answered()
                    server.health.answered()
                    server.answered += 1
                return answer
            finally:
                with self._changed:
                    server.under_way -= 1
                    self._changed.notify_all()
        raise failure or PassingError(f"no server is well: {self._reasons()}")

    def _named(self, server: Server, error: PassingError) -> PassingError:
        """The failure under the server's name, where there are several."""
        if len(self.servers) == 1:
            return error
        return PassingError(f"{server.url}: {error}", asked_for=error.asked_for, busy=error.busy)

    def _reasons(self) -> str:
        return "; ".join(f"{server.url}: {server.health.reason}" for server in self.servers if server.health.reason)

    def _take(self, tried: Sequence[Server]) -> Server | None:
        """The least loaded server, with one more request under way; waits for one. None where none is left to try."""
        with self._changed:
            while True:
                self._start_due_probes()
                well = [server for server in self.servers if server.health.well and server not in tried]
                if not well:
                    return None
                free = [server for server in well if server.under_way < self._workers]
                if free:
                    now = time.monotonic()
                    chosen = min(free, key=lambda each: (now < each.busy_until, each.under_way, each.answered))
                    chosen.under_way += 1
                    return chosen
                self._changed.wait(_LOOK_S)

    def _failed(self, server: Server, error: PassingError) -> None:
        if error.busy:
            server.busy_until = time.monotonic() + (error.asked_for or self._patience.first_wait_s)
            return
        with self._changed:
            server.health.failures += 1
            too_often = server.health.failures >= self._eject_after
        if too_often:
            self._leave_out(server, str(error))

    def _complain(self, key: object) -> Server | None:
        """Whose answer it was; that server is left out when it babbles."""
        with self._changed:
            server = self._gave.pop(key, None)
            if server is None:
                return None
            server.health.complained_of()
            others = [good for each in self.servers if each is not server for good in each.health.recent]
            bad = babbles(tuple(server.health.recent), others)
        if bad:
            self._leave_out(server, "its answers cannot be read, those of the others can")
        return server

    def _leave_out(self, server: Server, reason: str) -> None:
        with self._changed:
            if len(self.servers) == 1 or not server.health.well:
                return
            server.health.leave_out(reason, time.monotonic())
            self._changed.notify_all()
        log.warning("server %s is left out: %s", server.url, reason)

    def _start_due_probes(self) -> None:
        """Ask those again whose pause is over; the caller holds the lock."""
        now = time.monotonic()
        for server in self.servers:
            if not server.health.well and not server.probing and now >= server.health.probe_at:
                server.probing = True
                threading.Thread(target=self._ask_again, args=(server,), daemon=True).start()

    def _ask_again(self, server: Server) -> None:
        reason = ""
        try:
            ask_once(lambda: self._probe(server))
        except (BackendError, UsageError) as error:
            reason = str(error)
        else:
            log.warning("server %s is back", server.url)
        with self._changed:
            server.probing = False
            if reason:
                server.health.leave_out(reason, time.monotonic())
            else:
                server.health.take_back()
            self._changed.notify_all()


def _not_there(failure: PassingError, attempts: int) -> bool:
    """Whether the first question of all is given up: a busy server is well, a silent one had its time."""
    return not failure.busy and (failure.silent or attempts > _START_RETRIES)
