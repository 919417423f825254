"""Answers requests for rewards within its limits, those who ask for little first.

A request's rows are read (`gotr1_eval.web.reward_requests`), judged together with those of others
(`gotr1_eval.web.batching`), and said as the server's terms have it. What is wrong with a row, and a judge that failed,
are errors whatever the terms: no number stands in for what nobody has judged.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from gotr1_eval.core.errors import one_line
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.web.admission import MIB, Budget, Limits, NeverFitsError, NoRoomError, Reader, Share, handicap
from gotr1_eval.web.batching import Lanes
from gotr1_eval.web.processes import OtherProcess
from gotr1_eval.web.reward_requests import Row, decode
from gotr1_eval.web.reward_schemas import PROTOCOL, Terms
from rewards.reward_set import RewardSet

SMALL_BYTES, SMALL_PIXELS = 4 * MIB, 2**20
"""Larger bodies and pictures are read by a process of their own and of low priority: their parsing and decoding holds
the interpreter for a tenth of a second and more at once, in which nothing else would be answered."""
LARGE_BODIES, LARGE_SECONDS = 2, 5.0
"""So many bodies beyond `SMALL_BYTES` are read on at once; others wait so long for their turn."""
GREETING_BYTES = 2**16
"""Of a request that brings no samples."""
ReadRows = Callable[[bytearray, Terms, Limits], list[Row]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a row: the outcome of each reward that it asked for."""

    row: Row
    outcomes: dict[str, Outcome]

    def failed(self, outcome: Unscored) -> bool:
        """Whether it says nothing about the sample: the row is at fault, or a judge failed."""
        return bool(self.row.fault) or outcome.why is Why.BACKEND


Say = Callable[[Sequence[Answer], Terms], dict[str, object]]


class RewardService:
    """Answers requests within its limits.

    Args:
        rewards: what is served.
        terms: how it is said.
        limits: how much is taken on.
    """

    def __init__(self, rewards: RewardSet, terms: Terms, limits: Limits) -> None:
        self.limits = limits
        self.terms = terms
        self.lanes = Lanes(rewards)
        self._rewards = rewards
        self._memory = Budget(limits.memory_mib * MIB)
        self._rows = Budget(limits.waiting_rows)
        self._apart = OtherProcess()
        self._small = Reader(lambda job: job())
        self._large = Reader(self._apart.call)
        self._large_bodies = asyncio.Semaphore(LARGE_BODIES)

    async def work(self) -> None:
        """Judge and read until cancelled."""
        with self._small.working(), self._large.working(), closing(self._apart):
            await self.lanes.work()

    async def answer(self, request: Request, read: ReadRows, say: Say) -> bytes:
        """The answer to a request as JSON.

        Args:
            read: makes rows of its body.
            say: makes the answer's content of what became of them.

        Raises:
            HTTPException: it is not answered; see the docs' table of limits.
        """
        with self._memory.share() as memory, self._rows.share() as places:
            body = await self._body(request, memory)
            size = len(body)
            due = asyncio.get_running_loop().time() + handicap(size=size)
            reader = self._large if size > SMALL_BYTES else self._small
            rows = await reader.do(due, partial(read, body, self.terms, self.limits))
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
            return json.dumps(say(answers, self.terms), allow_nan=False).encode()

    async def greeting(self, request: Request) -> bytearray:
        """The body of a request that brings no samples.

        Raises:
            HTTPException: it is larger than `GREETING_BYTES`, and would be read while everybody waits.
        """
        with self._memory.share() as memory:
            return await self._body(request, memory, GREETING_BYTES)

    async def _body(self, request: Request, memory: Share, most: float = math.inf) -> bytearray:
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
                    if len(chunks) > most:
                        raise HTTPException(413, f"this may have {most} bytes")
        return chunks

    async def _answers(self, rows: Sequence[Row], due: float) -> list[Answer]:
        """What becomes of some rows."""
        reader = self._large if rows[0].pixels > SMALL_PIXELS else self._small
        read = await reader.do(due, partial(_decoded, rows, self.limits))
        return await asyncio.gather(*(self._answer(row, sample, due) for row, sample in zip(rows, read, strict=True)))

    async def _answer(self, row: Row, sample: Row | Sample, due: float) -> Answer:
        """What becomes of one row, from what was read of it."""
        if isinstance(sample, Row):
            fault = Unscored(why=Why.NO_INPUT, detail=sample.fault)
            return Answer(sample, dict.fromkeys(row.rewards, fault))
        wanted = self._rewards.only(row.rewards)
        outcomes = await self.lanes.outcomes(wanted.judges, sample, due, self.limits.seconds)
        try:
            outcomes = wanted.with_total(outcomes)
        except Exception as error:  # noqa: BLE001 - a total's bug costs this row, not its whole request
            failure = Unscored(why=Why.BACKEND, detail=f"{type(error).__name__}: {one_line(error)}")
            outcomes = {**dict.fromkeys(row.rewards, failure), **outcomes}
        return Answer(row, {name: outcomes[name] for name in row.rewards})

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
            seconds = math.ceil(self._rows.used * max(self.lanes.seconds_a_sample.values(), default=0.0) / 2)
            wait = {"Retry-After": str(min(max(seconds, 1), 60))}
            raise HTTPException(429, f"no room for more {what} right now; try again", wait) from None


def say_rows(answers: Sequence[Answer], terms: Terms) -> dict[str, object]:
    """A `gotr1_eval.web.reward_schemas.ScoreAnswer`."""
    told = [_said_of_row(answer, terms) for answer in answers]
    keys = ("results", "errors", "scored", "parts", "reasons", "identities")
    lists = {key: [row[key] for row in told] for key in keys}
    head = {"protocol_version": PROTOCOL, "scorer_version": terms.scorer_version, "unscored": terms.unscored}
    return {**head, **lists}


def _said_of_row(answer: Answer, terms: Terms) -> dict[str, dict[str, Any]]:
    results: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    scored: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    reasons: dict[str, Any] = {}
    for name, outcome in answer.outcomes.items():
        scored[name] = isinstance(outcome, Score)
        if isinstance(outcome, Score):
            results[name] = {"value": outcome.value}
            parts[name] = dict(outcome.parts)
            continue
        reasons[name] = f"{outcome.why.value}: {outcome.detail}"
        if answer.failed(outcome) or terms.unscored == "error":
            errors[name] = reasons[name]
        elif terms.unscored != "omit":
            results[name] = {"value": terms.unscored}
    return {
        "results": results, "errors": errors, "scored": scored, "parts": parts, "reasons": reasons,
        "identities": answer.row.identity,
    }  # fmt: skip


def say_columns(answers: Sequence[Answer], terms: Terms) -> dict[str, object]:
    """A `gotr1_eval.web.reward_schemas.BatchAnswer`.

    Raises:
        HTTPException: a sample is unscored, and a list of numbers has no other way to say it.
    """
    outcomes = [answer.outcomes[answer.row.rewards[0]] for answer in answers]
    reasons = [
        f"{outcome.why.value}: {outcome.detail}" if isinstance(outcome, Unscored) else "" for outcome in outcomes
    ]
    for at, (answer, outcome) in enumerate(zip(answers, outcomes, strict=True)):
        if isinstance(outcome, Unscored) and (answer.failed(outcome) or terms.unscored == "error"):
            failed = outcome.why is Why.BACKEND
            hint = "" if answer.failed(outcome) else "; serve with --unscored omit or a number to go on without it"
            raise HTTPException(503 if failed else 422, f"sample {at} is unscored ({reasons[at]}){hint}")
    stand_in = None if terms.unscored == "omit" else terms.unscored
    return {
        "scorer_version": terms.scorer_version,
        "unscored": terms.unscored,
        "reward": answers[0].row.rewards[0] if answers else terms.headline,
        "scores": [outcome.value if isinstance(outcome, Score) else stand_in for outcome in outcomes],
        "scored": [isinstance(outcome, Score) for outcome in outcomes],
        "parts": [dict(outcome.parts) if isinstance(outcome, Score) else {} for outcome in outcomes],
        "reasons": reasons,
    }


def _read_together(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in their order, in groups that are decoded by one job: each job has to wait for its turn."""
    groups: list[list[Row]] = []
    work = 0
    for row in rows:
        more = row.pixels + len(row.facts)  # a character of facts takes about as long as a pixel
        if not groups or work + more > SMALL_PIXELS:
            groups.append([])
            work = 0
        groups[-1].append(row)
        work += more
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
