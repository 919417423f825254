"""Processes of a server's own, which give way to it or work beside it, and end with it however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeVar

from fastapi import HTTPException

from gotr1_eval.core.errors import GotR1Error
from gotr1_eval.core.secrets import guard_streams

_T = TypeVar("_T")
Work = Callable[[int, Callable[[], None]], None]
"""What a process does: its number, and what it calls once it is ready; returns or raises at its end."""


def _serve_parent() -> None:
    """Let a process of ours give way to its parent, and end with it however that ends."""
    os.nice(10)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(0)


class OtherProcess:
    """A process that calls jobs, begun by the first one, and begun anew after one that broke it."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End it."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def call(self, job: Callable[[], _T]) -> _T:
        """What the job returns there.

        Raises:
            HTTPException: the process broke down over it.
        """
        if self._executor is None:
            # Spawned, since a fork would copy a process with threads.
            spawned = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(1, spawned, initializer=_serve_parent)
        try:
            return self._executor.submit(job).result()
        except BrokenExecutor:
            self.close()
            raise HTTPException(503, "what reads large requests broke down over this one") from None


def work_side_by_side(count: int, work: Work) -> int:
    """Have so many processes do the same work until this one is told to stop (Ctrl-C, SIGTERM).

    The first one begins alone, so that what is wrong with all of them is said once. One that ends by itself after it
    was ready is begun anew. Where CUDA_VISIBLE_DEVICES lists devices, each process sees one of them, in turn.

    Args:
        work: can be pickled.

    Returns:
        The exit code: 0 after a stop, otherwise that of a process which ended before it was ready.
    """
    spawned = multiprocessing.get_context("spawn")
    devices = [device for device in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if device]

    def begin(number: int) -> tuple[BaseProcess, Connection]:
        ours, theirs = spawned.Pipe(duplex=False)
        device = devices[number % len(devices)] if devices else None
        process = spawned.Process(target=_work, args=(work, number, theirs, device), name=f"worker {number}")
        process.start()
        theirs.close()
        return process, ours

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    workers = [begin(0)]
    try:
        connection.wait([workers[0][0].sentinel, workers[0][1]])
        workers += [begin(number) for number in range(1, count) if workers[0][0].is_alive()]
        while True:
            ended = connection.wait([process.sentinel for process, _ in workers])
            for number, (process, ready) in enumerate(workers):
                if process.sentinel in ended:
                    process.join()
                    if not _was_ready(ready):
                        return process.exitcode or 1
                    print(f"{process.name} ended with {process.exitcode} and is begun anew", file=sys.stderr)  # noqa: T201
                    workers[number] = begin(number)
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
        for process, _ in workers:
            process.terminate()
        for process, _ in workers:
            process.join()


def _was_ready(ready: Connection) -> bool:
    """Whether a process that has ended said so before."""
    try:
        return bool(ready.poll() and ready.recv())
    except EOFError:
        return False


def _work(work: Work, number: int, ready: Connection, device: str | None) -> None:
    """What a worker does; errors that are raised on purpose are one line, as of the command line."""
    guard_streams()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    try:
        work(number, partial(ready.send, True))
    except GotR1Error as error:
        print(f"gotr1-eval: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
