"""How much a server takes on at once, and in which order.

`Limits` say how much. A `Budget` is shared by all requests in flight. `handicap` orders their work: who asks for little
comes first. A `Reader` does the work of reading requests in that order.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from gotr1_eval.core.errors import UsageError

MIB = 2**20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the server takes on.

    Attributes:
        request_mib: of the body of one request.
        memory_mib: of the bodies, texts and pixels of all requests in flight.
        rows: in one request.
        waiting_rows: of all requests in flight.
        prompt_characters, chain_characters, facts_characters: of one row; of its facts as JSON.
        picture_pixels: of one picture.
        seconds: until a row that no judge has answered is unscored.
    """

    request_mib: int = 64
    memory_mib: int = 512
    rows: int = 1_024
    waiting_rows: int = 8_192
    prompt_characters: int = 8_000
    chain_characters: int = 32_000
    facts_characters: int = 32_000
    picture_pixels: int = 2**22
    seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what would turn every request away."""
        for whole, one in (("memory_mib", "request_mib"), ("waiting_rows", "rows")):
            if getattr(self, whole) < 2 * getattr(self, one):
                option, other = (f"--{name.replace('_', '-')}" for name in (whole, one))
                raise UsageError(
                    f"{option} {getattr(self, whole)}: expected at least twice {other} {getattr(self, one)}, because "
                    "one request gets half of what the server has"
                )


class NoRoomError(Exception):
    """There is no room for a request now; a later one may find some."""


class NeverFitsError(Exception):
    """A request asks for more than an idle server would give it."""


class Budget:
    """Something that all requests in flight share, such as bytes of memory.

    A request may hold half of what the others leave. However many greedy ones there are, n of them end at a share of
    1/(n + 1) each and leave as much free, so that a small request always finds room (the dynamic threshold of Choudhury
    and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    @property
    def most(self) -> int:
        """What one request gets of an idle server."""
        return self.total // 2

    @contextmanager
    def share(self) -> Iterator[Share]:
        """What one request holds, given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.hold(0)


class Share:
    """What one request holds of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    @property
    def most(self) -> int:
        """What the request gets of an idle server."""
        return self._budget.most

    def hold(self, amount: int) -> None:
        """Hold so much from now on, more or less than before.

        Raises:
            NoRoomError, NeverFitsError: so much cannot be had; what was held stays held.
        """
        if amount > self.held:
            if amount > self._budget.most:
                raise NeverFitsError
            if amount > (self._budget.total - self._budget.used + self.held) // 2:
                raise NoRoomError
        self._budget.used += amount - self.held
        self.held = amount


def handicap(*, rows: int = 0, characters: int = 0, size: int = 0, pixels: int = 0) -> float:
    """Seconds by which a request's work is put behind that of others who come at the same time.

    About a hundred times what the work takes on one core: among a hundred clients those who ask for little are served
    first, and those who ask for much are not put off for ever.

    Args:
        size: of the body in bytes.
    """
    return rows / 20 + characters / 10_000 + size / 2_000_000 + pixels / 300_000


class Reader:
    """Does one job after the other, the earliest due first, in a thread of its own.

    The thread takes its next job without the event loop, which may be busy for longer than a job takes.

    Args:
        call: calls a job.
    """

    def __init__(self, call: Callable[[Callable[[], Any]], Any]) -> None:
        self._call = call
        self._jobs: queue.PriorityQueue[tuple[float, int, Callable[[], Any], Future[Any]]] = queue.PriorityQueue()
        self._numbers = itertools.count()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Jobs are done meanwhile."""
        threading.Thread(target=self._work, name="reader", daemon=True).start()
        try:
            yield
        finally:
            self._jobs.put((-math.inf, next(self._numbers), _end, Future()))

    async def do(self, due: float, job: Callable[[], _T]) -> _T:
        """What a job returns or raises; it is left out once nobody waits for it any more."""
        answer: Future[_T] = Future()
        self._jobs.put((due, next(self._numbers), job, answer))
        return await asyncio.wrap_future(answer)

    def _work(self) -> None:
        while True:
            *_, job, answer = self._jobs.get()
            if job is _end:
                return
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                result = self._call(job)
            except Exception as error:  # noqa: BLE001 - belongs to who asked for the job
                answer.set_exception(error)
            else:
                answer.set_result(result)


def _end() -> None:
    """The job after which a reader does no other."""
