"""Puts the samples of concurrent requests into common batches: models are fastest when asked together."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gotr1_eval.core.errors import GotR1Error, LabelError, UsageError, one_line
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.protocols import Judge, Served
from gotr1_eval.core.types import Sample

USUAL_CHARACTERS = 4_000
"""Of a prompt and its chain together; reading longer ones may take a judge a noticeable time."""
_log = logging.getLogger("uvicorn.error")


@dataclass(slots=True, order=True)
class _Waiting:
    """A sample that one judge is asked about; the earliest due is served first."""

    due: float
    number: int
    factor: str = field(compare=False)
    sample: Sample = field(compare=False)
    answer: asyncio.Future[Outcome] = field(compare=False)

    @property
    def surplus(self) -> int:
        """Characters beyond those of a usual sample."""
        return max(0, len(self.sample.prompt) + len(self.sample.chain or "") - USUAL_CHARACTERS)


class BatchingJudges:
    """Judges that collect what is asked within a short while and answer it in one batch each.

    Judges that share a model of this process take turns; all others work at the same time, so that a slow one holds up
    nobody.

    Args:
        judges: by factor name.
        most: samples in a batch.
        surplus: of a batch of several, in characters beyond `USUAL_CHARACTERS` each: long texts must not pile up before
            short ones.
        seconds: how long a batch waits for company.

    Attributes:
        batches: how many batches each factor has judged.
        seconds_a_sample: that each factor took in its last batch.
    """

    def __init__(
        self, judges: Mapping[str, Judge], *, most: int = 64, surplus: int = 32_000, seconds: float = 0.02
    ) -> None:
        self.judges = judges
        self.most = most
        self.surplus = surplus
        self.seconds = seconds
        self.batches: Counter[str] = Counter()
        self.seconds_a_sample: dict[str, float] = {}
        self._queues: dict[str, asyncio.PriorityQueue[_Waiting]] = {}
        for factors in _taking_turns(judges):
            self._queues |= dict.fromkeys(factors, asyncio.PriorityQueue())
        self._numbers = itertools.count()

    async def outcome(self, factor: str, sample: Sample, due: float = 0.0) -> Outcome:
        """The factor's outcome of one sample, judged together with others that ask at the same time.

        Args:
            due: the smallest is served first.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queues[factor].put_nowait(_Waiting(due, next(self._numbers), factor, sample, answer))
        return await answer

    async def work(self) -> None:
        """Serve the queues until cancelled, each in its own thread, so that the server stays responsive."""
        async with asyncio.TaskGroup() as group:
            for queue in {id(queue): queue for queue in self._queues.values()}.values():
                group.create_task(self._serve(queue))

    async def _serve(self, queue: asyncio.PriorityQueue[_Waiting]) -> None:
        executor = ThreadPoolExecutor(1, thread_name_prefix="judge")
        try:
            while True:
                queue.put_nowait(await queue.get())
                await asyncio.sleep(self.seconds)
                if batch := self._batch(queue):
                    await self._judge(batch, executor)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _batch(self, queue: asyncio.PriorityQueue[_Waiting]) -> list[_Waiting]:
        """The most urgent samples of one factor; those whose client has gone are dropped."""
        batch: list[_Waiting] = []
        others: list[_Waiting] = []
        surplus = 0
        while not queue.empty() and len(batch) < self.most:
            waiting = queue.get_nowait()
            if waiting.answer.done():
                continue
            if batch and waiting.factor != batch[0].factor:
                others.append(waiting)
                continue
            surplus += waiting.surplus
            if batch and surplus > self.surplus:
                others.append(waiting)
                break
            batch.append(waiting)
        for waiting in others:
            queue.put_nowait(waiting)
        return batch

    async def _judge(self, batch: Sequence[_Waiting], executor: ThreadPoolExecutor) -> None:
        factor, loop = batch[0].factor, asyncio.get_running_loop()
        self.batches[factor] += 1
        begun = loop.time()
        samples = [waiting.sample for waiting in batch]
        outcomes = await loop.run_in_executor(executor, judge_rows, self.judges[factor], samples)
        self.seconds_a_sample[factor] = (loop.time() - begun) / len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)


def judge_rows(judge: Judge, samples: Sequence[Sample]) -> list[Outcome]:
    """One outcome a sample, as of `judge_batch`; also what a judge raises on purpose ends no other request.

    What fails for every sample alike, such as a wrong key, is not tried once more for each of them.
    """
    try:
        return judge_batch(judge, samples)
    except (GotR1Error, SystemExit) as error:
        together = isinstance(error, UsageError) and not isinstance(error, LabelError)
        if len(samples) > 1 and not together:
            return [outcome for sample in samples for outcome in judge_rows(judge, [sample])]
        _log.error("judge %r failed: %s", judge.name, one_line(error))
        return [Unscored(why=Why.BACKEND, detail=one_line(error)) for _ in samples]


def _taking_turns(judges: Mapping[str, Judge]) -> list[set[str]]:
    """The factors in groups: within one, judges hold a common model that is not a server."""
    groups: list[tuple[set[str], set[int]]] = []
    for factor, judge in judges.items():
        factors, models = {factor}, {id(held) for held in (judge, *_models_of(judge))}
        for group in [group for group in groups if group[1] & models]:
            groups.remove(group)
            factors |= group[0]
            models |= group[1]
        groups.append((factors, models))
    return [factors for factors, _ in groups]


def _models_of(judge: Judge) -> list[object]:
    """Every model that a judge holds, also within another or in a list: what has a fingerprint, and is no server."""
    found: dict[int, object] = {}
    holders: list[object] = [judge]
    while holders:
        values = list(getattr(holders.pop(), "__dict__", {}).values())
        for value in values:
            if isinstance(value, list | tuple | dict):
                values += value.values() if isinstance(value, dict) else value
            elif hasattr(value, "fingerprint") and not isinstance(value, Served) and id(value) not in found:
                found[id(value)] = value
                holders.append(value)
    return list(found.values())
