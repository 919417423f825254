"""Puts the samples of concurrent requests into common batches: models are fastest when asked together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample


@dataclass(slots=True)
class _Waiting:
    sample: Sample
    factor: str
    answer: asyncio.Future[Outcome]


class BatchingJudges:
    """Judges that collect what is asked within a short while and answer it in one batch each.

    Args:
        judges: by factor name.
        most: samples in a batch.
        seconds: how long a batch waits for company.

    Attributes:
        batches: how many batches each factor has judged.
    """

    def __init__(self, judges: Mapping[str, Judge], *, most: int = 64, seconds: float = 0.02) -> None:
        self.judges = judges
        self.most = most
        self.seconds = seconds
        self.batches: Counter[str] = Counter()
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()

    async def outcome(self, factor: str, sample: Sample) -> Outcome:
        """The factor's outcome of one sample, judged together with others that ask at the same time."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        await self._waiting.put(_Waiting(sample, factor, answer))
        return await answer

    async def work(self) -> None:
        """Serve the queue until cancelled; one batch at a time, in a thread, so that the server stays responsive."""
        while True:
            batch = [await self._waiting.get()]
            await asyncio.sleep(self.seconds)
            while len(batch) < self.most and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            for factor in dict.fromkeys(waiting.factor for waiting in batch):
                await self._judge(factor, [waiting for waiting in batch if waiting.factor == factor])

    async def _judge(self, factor: str, batch: Sequence[_Waiting]) -> None:
        self.batches[factor] += 1
        samples = [waiting.sample for waiting in batch]
        try:
            outcomes = await asyncio.to_thread(judge_batch, self.judges[factor], samples)
        except Exception as error:  # noqa: BLE001 - a judge's bug must fail its own batch, not the queue of all others
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)
