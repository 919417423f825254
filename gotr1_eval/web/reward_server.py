"""A reward server: judges behind JSON over HTTP, for trainers that run elsewhere.

``POST /score`` and ``GET /health`` speak the protocol of the reward service of Tencent-Hunyuan/UniRL (version "1"):

    {"requests": [{"history": [{"text": prompt, "image_b64": ...}], "required_rewards": ["total"],
                   "metadata": {"chain": ..., <fact>: ...}}]}
    {"results": [{"total": {"value": 0.31, "semantic": 0.9, ...}}], "errors": [{}], "identities": [...]}

The last entry of the history is judged. What ``metadata`` holds besides the chain are the prompt's facts, for judges
that need some; they may also stand in ``facts``. An unscored reward stands under ``errors`` with its reason and never
among the results. Pictures are base64 (no pickle). What all requests in flight take is limited: one that finds no room
is answered 429 with Retry-After, one that never would 413.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import math
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from gotr1_eval.core.errors import one_line
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.web.admission import Budget, NeverFitsError, NoRoomError, Reader, Share, handicap
from gotr1_eval.web.batching import BatchingJudges
from gotr1_eval.web.guard import Guard
from gotr1_eval.web.reward_requests import MIB, PROTOCOL, Limits, Row, decode, read_rows
from rewards.reward_set import RewardSet

_T = TypeVar("_T")
Answer = tuple[dict[str, dict[str, float]], dict[str, str]]
"""(results, errors) of one row."""
SMALL_BYTES, SMALL_PIXELS = 4 * MIB, 2**20
"""Larger bodies and pictures are read by a process of their own and of low priority: their parsing and decoding holds
the interpreter for a tenth of a second and more at once, in which nothing else would be answered."""
LARGE_BODIES, LARGE_SECONDS = 2, 5.0
"""So many bodies beyond `SMALL_BYTES` are read on at once; others wait so long for their turn."""


def create_app(rewards: RewardSet, *, token: str | None = None, limits: Limits | None = None) -> FastAPI:
    """The server.

    Args:
        rewards: what is served: every judge under its factor's name, and "total" where there is one.
        token: that requests must carry as ``Authorization: Bearer``; None lets everyone in who asks for this machine by
            a loopback name.
        limits: how much is taken on.
    """
    service = RewardService(rewards, limits or Limits())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(service.work())
        yield
        worker.cancel()

    app = FastAPI(title="gotr1-eval rewards", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, most_bytes=service.limits.request_mib * MIB, only_loopback=token is None)
    app.state.batching = service.batching

    @app.get("/health")
    async def health() -> dict[str, object]:
        return {"status": "ok", "rewards": {name: ["value"] for name in service.names}, "protocol_version": PROTOCOL}

    @app.post("/score")
    async def score(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "a bearer token is needed")
        return Response(await service.score(request), media_type="application/json")

    return app


class RewardService:
    """Answers requests within its limits, those who ask for little first."""

    def __init__(self, rewards: RewardSet, limits: Limits) -> None:
        self.limits = limits
        self.batching = BatchingJudges(rewards.judges)
        self.names = [*rewards.judges, *(["total"] if rewards.total is not None else [])]
        self._rewards = rewards
        self._memory = Budget(limits.memory_mib * MIB)
        self._rows = Budget(limits.waiting_rows)
        self._apart = _OtherProcess()
        self._small = Reader(lambda job: job())
        self._large = Reader(self._apart.call)
        self._large_bodies = asyncio.Semaphore(LARGE_BODIES)

    async def work(self) -> None:
        """Judge and read until cancelled."""
        with self._small.working(), self._large.working(), closing(self._apart):
            await self.batching.work()

    async def score(self, request: Request) -> bytes:
        """The answer to a request as JSON.

        Raises:
            HTTPException: it is not answered; see the module.
        """
        with self._memory.share() as memory, self._rows.share() as places:
            body = await self._body(request, memory)
            size = len(body)
            due = asyncio.get_running_loop().time() + handicap(size=size)
            reader = self._large if size > SMALL_BYTES else self._small
            rows = await reader.do(due, partial(read_rows, body, self.names, self.limits))
            del body
            with self._refusing("samples"):
                places.hold(len(rows))
            rows = _fitting(rows, memory.most)
            with self._refusing("memory"):
                memory.hold(max(memory.held, sum(row.memory for row in rows)))
            due += handicap(
                rows=len(rows), characters=sum(row.characters for row in rows), pixels=sum(row.pixels for row in rows)
            )
            working = asyncio.gather(*(self._answers(some, due) for some in _read_together(rows)))
            answers = list(itertools.chain(*await _while_connected(request, working)))
            content = {
                "protocol_version": PROTOCOL,
                "results": [results for results, _ in answers],
                "errors": [errors for _, errors in answers],
                "identities": [row.identity for row in rows],
            }
            return json.dumps(content, allow_nan=False).encode()

    async def _body(self, request: Request, memory: Share) -> bytearray:
        """The body; it is given up as soon as there is no room for it."""
        chunks = bytearray()
        async with AsyncExitStack() as stack:
            with self._refusing("memory"):
                declared = request.headers.get("content-length", "")
                if declared.isdigit():
                    memory.hold(int(declared))
                    # It need not come: what has come is held, and nothing else.
                    memory.hold(0)
                async for chunk in request.stream():
                    if len(chunks) <= SMALL_BYTES < len(chunks) + len(chunk):
                        await asyncio.wait_for(stack.enter_async_context(self._large_bodies), LARGE_SECONDS)
                    chunks += chunk
                    memory.hold(len(chunks))
        return chunks

    async def _answers(self, rows: Sequence[Row], due: float) -> list[Answer]:
        """(results, errors) of each of some rows."""
        samples = partial(_decoded, rows, self.limits)
        if any(row.picture for row in rows):
            reader = self._large if rows[0].pixels > SMALL_PIXELS else self._small
            read = await reader.do(due, samples)
        else:
            read = samples()
        return await asyncio.gather(*(self._answer(row, sample, due) for row, sample in zip(rows, read, strict=True)))

    async def _answer(self, row: Row, sample: Row | Sample, due: float) -> Answer:
        """(results, errors) of one row, from what was read of it."""
        if isinstance(sample, Row):
            return {}, dict.fromkeys(row.rewards, f"{Why.NO_INPUT.value}: {sample.fault}")
        outcomes = await self._outcomes(sample, set(row.rewards), due)
        results: dict[str, dict[str, float]] = {}
        errors: dict[str, str] = {}
        for name in row.rewards:
            outcome = outcomes[name]
            if isinstance(outcome, Score):
                parts = {part: float(value) for part, value in outcome.parts.items()}
                results[name] = {"value": float(outcome.value), **parts}
            else:
                errors[name] = f"{outcome.why.value}: {outcome.detail}"
        return results, errors

    async def _outcomes(self, sample: Sample, wanted: set[str], due: float) -> dict[str, Outcome]:
        """The outcome of every reward that is wanted, and of the factors that the total needs."""
        total = self._rewards.total if "total" in wanted else None
        factors = [name for name in self._rewards.judges if name in wanted or (total and name in total.rule.factors)]
        judged = await asyncio.gather(*(self._judged(name, sample, due) for name in factors))
        outcomes = dict(zip(factors, judged, strict=True))
        if total is not None:
            try:
                outcomes["total"] = total.combine(outcomes)
            except Exception as error:  # noqa: BLE001 - a total's bug costs this row, not its whole request
                detail = f"{type(error).__name__}: {one_line(error)}"
                outcomes["total"] = Unscored(why=Why.BACKEND, detail=detail)
        return outcomes

    async def _judged(self, factor: str, sample: Sample, due: float) -> Outcome:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self.batching.outcome(factor, sample, due)
        except TimeoutError:
            return Unscored(why=Why.BACKEND, detail=f"not judged within {self.limits.seconds:g} seconds")

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        """Turns the lack of room into the answer that a client gets."""
        try:
            yield
        except ClientDisconnect:
            raise HTTPException(499, "the client has gone") from None
        except NeverFitsError:
            raise HTTPException(413, f"more {what} than one request may have; send fewer samples at once") from None
        except (NoRoomError, TimeoutError):
            # By then about half of what is waiting will be done.
            seconds = math.ceil(self._rows.used * max(self.batching.seconds_a_sample.values(), default=0.0) / 2)
            wait = {"Retry-After": str(min(max(seconds, 1), 60))}
            raise HTTPException(429, f"no room for more {what} right now; try again", wait) from None


def _serve_parent() -> None:
    """Let a process of ours give way to its parent, and end with it however that ends."""
    os.nice(10)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(0)


class _OtherProcess:
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


def _read_together(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in their order, in groups whose pictures are decoded by one job: each job has to wait for its turn."""
    groups: list[list[Row]] = []
    pixels = 0
    for row in rows:
        if not groups or pixels + row.pixels > SMALL_PIXELS:
            groups.append([])
            pixels = 0
        groups[-1].append(row)
        pixels += row.pixels
    return groups


def _decoded(rows: Sequence[Row], limits: Limits) -> list[Row | Sample]:
    return [decode(row, limits) for row in rows]


def _fitting(rows: Sequence[Row], most: int) -> list[Row]:
    """The rows; what would be more than one request may ever hold is left out, with that as its fault."""
    fault = f"over the limit of {most} bytes for texts and pictures of one request; send fewer samples at once"
    left = most
    fitting = []
    for row in rows:
        fits = row.memory <= left
        fitting.append(
            row if fits else replace(row, prompt="", chain=None, facts="{}", picture=b"", pixels=0, fault=fault)
        )
        left -= fitting[-1].memory
    return fitting


async def _while_connected(request: Request, working: asyncio.Future[list[list[Answer]]]) -> list[list[Answer]]:
    """The answers, or an end to the work as soon as the client has gone."""
    leaving: asyncio.Future[Any] = asyncio.ensure_future(request.receive())
    both: set[asyncio.Future[Any]] = {working, leaving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise HTTPException(499, "the client has gone")
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
