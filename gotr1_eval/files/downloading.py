"""Brings one file from a plain address, in pieces that survive an interruption."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from gotr1_eval.core.errors import BackendError, UsageError, one_line

_PIECE = 2**20
_SECONDS = 60
"""Without any answer, after which a server counts as gone."""

_allowed: ContextVar[bool] = ContextVar("_allowed", default=True)
Report = Callable[[int, int | None], None]
"""Told after each piece how many bytes are there, and of how many, where the server says."""


@contextmanager
def without_downloads() -> Iterator[None]:
    """Within, models take only what is on this machine already; `may_download` says so."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def may_download() -> bool:
    """Whether what is missing may be fetched."""
    return _allowed.get()


def download(url: str, path: Path, check: Callable[[Path], str], report: Report = lambda done, total: None) -> None:
    """Write what an address answers to a file, which appears under its name only when it is whole.

    Until then it is `<name>.partial`; a later call goes on where that ends, if the server can.

    Args:
        check: says what is wrong with the whole file, or nothing; a file at fault is deleted.

    Raises:
        UsageError: the folder cannot be written.
        BackendError: the server cannot be reached, refuses, stops early, or sent another file than expected.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, partial, report)
    except urllib.error.HTTPError as error:
        raise BackendError(f"{url}: the server answers {error.code} {one_line(error.reason, 80)}") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise BackendError(f"{url}: {one_line(error, 160)}; start again to go on where it stopped") from None
    except OSError as error:
        raise UsageError(f"cannot write {partial}: {error.strerror}") from None
    if fault := check(partial):
        partial.unlink()
        raise BackendError(f"{url}: not the file that was expected: {fault}")
    partial.replace(path)


def _fetch(url: str, partial: Path, report: Report) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            if _is_whole(error, there):
                return
            partial.unlink()
        raise
    with answer:
        goes_on = answer.status == http.client.PARTIAL_CONTENT
        there = there if goes_on else 0
        length = answer.headers["Content-Length"]
        total = there + int(length) if length is not None else None
        with partial.open("ab" if goes_on else "wb") as file:
            there = _copy(answer, file, there, total, report)
    if total is not None and there < total:
        raise ConnectionError(f"the connection ended after {there} of {total} bytes")


def _copy(answer: BinaryIO, file: BinaryIO, there: int, total: int | None, report: Report) -> int:
    """The number of bytes that are there in the end."""
    while piece := answer.read(_PIECE):
        file.write(piece)
        there += len(piece)
        report(there, total)
    return there


def _is_whole(error: urllib.error.HTTPError, there: int) -> bool:
    """Whether the server refused to go on because there is nothing left to send (``Content-Range: bytes */<all>``)."""
    return (error.headers["Content-Range"] or "").removeprefix("bytes */") == str(there)


CACHE_VARIABLE = "GOTR1_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of files: in $GOTR1_CACHE, or else in ``gotr1-eval`` of the user's cache (XDG)."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser() / kind
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gotr1-eval" / kind
