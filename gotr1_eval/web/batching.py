"""Puts the samples of concurrent requests into common batches: models are fastest when asked together."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gotr1_eval.core.errors import GotR1Error, LabelError, UsageError, one_line
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet

USUAL_CHARACTERS = 4_000
"""Of a prompt and its chain together; reading longer ones may take a judge a noticeable time."""
_log = logging.getLogger("uvicorn.error")
Row = dict[str, Outcome]
"""The outcome of each factor of one sample."""


@dataclass(slots=True, order=True)
class _Waiting:
    """A sample that some factors are wanted of; the earliest due is served first."""

    due: float
    number: int
    factors: frozenset[str] = field(compare=False)
    sample: Sample = field(compare=False)
    answer: asyncio.Future[Row] = field(compare=False)

    @property
    def surplus(self) -> int:
        """Characters beyond those of a usual sample."""
        return max(0, len(self.sample.prompt) + len(self.sample.chain or "") - USUAL_CHARACTERS)


class Lanes:
    """A reward set whose judges collect what is asked within a short while, and judge it in common batches.

    Judges that share a model of this process take turns in one lane; the lanes work at the same time, so that a slow
    judge holds up nobody else.

    Args:
        rewards: what is asked; each lane judges with its own part of it.
        most: samples in a batch.
        surplus: of a batch of several, in characters beyond `USUAL_CHARACTERS` each: long texts must not pile up before
            short ones.
        seconds: how long a batch waits for company.

    Attributes:
        batches: how many batches each factor has judged.
        seconds_a_sample: that each lane took in its last batch, by its first factor.
    """

    def __init__(self, rewards: RewardSet, *, most: int = 64, surplus: int = 32_000, seconds: float = 0.02) -> None:
        self.most = most
        self.surplus = surplus
        self.seconds = seconds
        self.batches: Counter[str] = Counter()
        self.seconds_a_sample: dict[str, float] = {}
        self._rewards = rewards
        alone = [{factor} for factor in rewards.judges if not any(factor in group for group in rewards.turns)]
        self._lanes = [_Lane(frozenset(factors)) for factors in (*rewards.turns, *alone)]
        self._numbers = itertools.count()

    async def outcomes(self, factors: Collection[str], sample: Sample, due: float, patience: float) -> Row:
        """The outcomes of these factors, judged together with samples that come at the same time.

        Args:
            due: the smallest is served first.
            patience: seconds after which a factor is unscored.
        """
        wanted = [(lane, lane.factors & frozenset(factors)) for lane in self._lanes]
        parts = await asyncio.gather(
            *(self._outcomes(lane, some, sample, due, patience) for lane, some in wanted if some)
        )
        return {factor: outcome for part in parts for factor, outcome in part.items()}

    async def _outcomes(self, lane: _Lane, factors: frozenset[str], sample: Sample, due: float, patience: float) -> Row:
        answer: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        lane.queue.put_nowait(_Waiting(due, next(self._numbers), factors, sample, answer))
        try:
            async with asyncio.timeout(patience):
                return await answer
        except TimeoutError:
            late = Unscored(why=Why.BACKEND, detail=f"not judged within {patience:g} seconds")
            return dict.fromkeys(factors, late)

    async def work(self) -> None:
        """Serve the lanes until cancelled, each in its own thread, so that the server stays responsive."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._serve(lane))

    async def _serve(self, lane: _Lane) -> None:
        executor = ThreadPoolExecutor(1, thread_name_prefix="judge")
        try:
            while True:
                lane.queue.put_nowait(await lane.queue.get())
                await asyncio.sleep(self.seconds)
                if batch := self._batch(lane.queue):
                    await self._judge(batch, executor)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _batch(self, queue: asyncio.PriorityQueue[_Waiting]) -> list[_Waiting]:
        """The most urgent samples that want the same factors; those whose client has gone are dropped."""
        batch: list[_Waiting] = []
        others: list[_Waiting] = []
        surplus = 0
        while not queue.empty() and len(batch) < self.most:
            waiting = queue.get_nowait()
            if waiting.answer.done():
                continue
            if batch and waiting.factors != batch[0].factors:
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
        factors, loop = batch[0].factors, asyncio.get_running_loop()
        self.batches.update(factors)
        begun = loop.time()
        samples = [waiting.sample for waiting in batch]
        rows = await loop.run_in_executor(executor, judge_rows, self._rewards.only(factors), samples)
        self.seconds_a_sample[min(factors)] = (loop.time() - begun) / len(batch)
        for waiting, row in zip(batch, rows, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(row)


@dataclass(slots=True)
class _Lane:
    """Factors that are judged by one thread, and the samples that wait for them."""

    factors: frozenset[str]
    queue: asyncio.PriorityQueue[_Waiting] = field(default_factory=asyncio.PriorityQueue)


def judge_rows(rewards: RewardSet, samples: Sequence[Sample]) -> list[Row]:
    """As `RewardSet.judge`; what a judge raises on purpose costs its own factor, and ends no other request.

    What fails for every sample alike, such as a wrong key, is not tried once more for each of them.
    """
    try:
        return rewards.judge(samples)
    except (GotR1Error, SystemExit) as error:
        if len(rewards.judges) > 1:
            parts = [judge_rows(rewards.only({factor}), samples) for factor in rewards.judges]
            return [
                {factor: outcome for row in rows for factor, outcome in row.items()}
                for rows in zip(*parts, strict=True)
            ]
        together = isinstance(error, UsageError) and not isinstance(error, LabelError)
        if len(samples) > 1 and not together:
            return [row for sample in samples for row in judge_rows(rewards, [sample])]
        (factor,) = rewards.judges
        _log.error("judge %r failed: %s", rewards.judges[factor].name, one_line(error))
        return [{factor: Unscored(why=Why.BACKEND, detail=one_line(error))} for _ in samples]
