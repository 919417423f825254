"""What a trainer's adapter stands on: what does not fit is refused when it is made, and equal samples are judged once.

The words are the reward server's: a sample without a score is a number of the user's choice, an error, or omitted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import cast

from PIL import Image

from gotr1_eval.core.errors import BackendError, UsageError, one_line
from gotr1_eval.core.facts import facts_of, missing_facts
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import READS_CHAIN, READS_PICTURE
from gotr1_eval.core.types import Sample
from gotr1_eval.files.tables import tell
from rewards.reward_set import RewardSet, UnscoredAs, refuse_as_reward


class TrainerReward:
    """A reward set as a trainer asks it: one batch at a time, whatever thread it comes from.

    Args:
        rewards: with a total, or with a single judge.
        trainer: what it is called in messages.
        unscored: see `UnscoredAs`.
        omits: whether the trainer can leave a sample out of its group.
        no_chain: why no chain comes and how to name one; empty where chains come.
        no_picture: the same of pictures.

    Raises:
        UsageError: no total of several judges; a judge that reads what does not come, or is refused as a reward; or
            `unscored` is none of what this trainer can take.
    """

    def __init__(
        self,
        rewards: RewardSet,
        trainer: str,
        unscored: UnscoredAs,
        *,
        omits: bool = False,
        no_chain: str = "",
        no_picture: str = "",
    ) -> None:
        refuse_as_reward(rewards)
        self.headline = rewards.headline
        self.factors = tuple(rewards.judges)
        self.unscored = _read_unscored(unscored, trainer, omits=omits)
        for what, kinds, missing in (("chain", READS_CHAIN, no_chain), ("picture", READS_PICTURE, no_picture)):
            reading = [name for name, judge in rewards.judges.items() if judge.looks_at in kinds]
            if missing and reading:
                raise UsageError(f"{trainer}: {', '.join(reading)} needs a {what} of every sample, {missing}")
        self._rewards = rewards
        self._lock = threading.Lock()
        self._begun = False

    def __getstate__(self) -> dict[str, object]:
        """What travels to other processes, where a lock of its own is made."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def judge(self, samples: Sequence[Sample]) -> list[dict[str, Outcome]]:
        """For each sample the outcome of every factor, and of the total where there is one.

        Samples of the same prompt, facts, chain and picture are one to the judges. At the first batch it is told which
        judges need facts that no prompt of it has.
        """
        with self._lock:
            if not self._begun:
                for line in missing_facts(self._rewards.judges.values(), facts_of(samples)):
                    tell(f"first batch: {line}")
            self._begun = True
            distinct: dict[Hashable, Sample] = {}
            keys = [_content(sample) for sample in samples]
            for key, sample in zip(keys, samples, strict=True):
                distinct.setdefault(key, sample)
            judged = dict(zip(distinct, self._rewards.judge(list(distinct.values())), strict=True))
            return [judged[key] for key in keys]

    def value(self, outcome: Outcome) -> float | None:
        """The number that the trainer gets; None for an omitted sample.

        Raises:
            BackendError: the sample is unscored, and that was to be an error.
        """
        if isinstance(outcome, Score):
            return outcome.value
        if self.unscored == "error":
            why = f"{outcome.why.value}: {one_line(outcome.detail)}"
            raise BackendError(f"a sample is unscored ({why}), which unscored='error' does not allow")
        return None if isinstance(self.unscored, str) else self.unscored

    def number(self, outcome: Outcome) -> float:
        """As `value`, for a trainer that omits no sample."""
        return cast(float, self.value(outcome))

    @property
    def stand_in(self) -> float:
        """What fills the column of a factor without a value: the number of `unscored`, else NaN."""
        return math.nan if isinstance(self.unscored, str) else self.unscored


class Gathering:
    """Judges samples that coroutines ask about one by one in batches: what comes while one is judged makes the next.

    Args:
        judge: is called in a thread, never twice at a time.
    """

    def __init__(self, judge: Callable[[Sequence[Sample]], list[dict[str, Outcome]]]) -> None:
        self._judge = judge
        self._waiting: list[tuple[Sample, asyncio.Future[dict[str, Outcome]]]] = []
        self._working: asyncio.Task[None] | None = None

    async def judge(self, sample: Sample) -> dict[str, Outcome]:
        """The sample's outcomes; raises what the judge raises for its batch."""
        answer: asyncio.Future[dict[str, Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((sample, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            # Coroutines that were started together all ask before the first batch begins.
            await asyncio.sleep(0)
            batch, self._waiting = self._waiting, []
            try:
                rows = await asyncio.to_thread(self._judge, [sample for sample, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who asked
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), row in zip(batch, rows, strict=True):
                if not answer.done():
                    answer.set_result(row)


def _read_unscored(unscored: object, trainer: str, *, omits: bool) -> UnscoredAs:
    """Raises UsageError for what is no finite number, no word, or what the trainer cannot do."""
    if unscored == "error":
        return "error"
    if unscored == "omit" and omits:
        return "omit"
    if isinstance(unscored, int | float) and not isinstance(unscored, bool) and math.isfinite(unscored):
        return float(unscored)
    words = "a number, 'error' or 'omit'" if omits else "a number or 'error'"
    why = "" if unscored != "omit" else f": {trainer} leaves no sample out of its group"
    raise UsageError(f"{trainer}: unscored={unscored!r}: expected {words}{why}")


def _content(sample: Sample) -> Hashable:
    """What the judges can tell a sample by."""
    picture = _pixels(sample.image) if isinstance(sample.image, Image.Image) else sample.image
    return sample.prompt, sample.chain, picture, json.dumps(dict(sample.meta), sort_keys=True)


def _pixels(picture: Image.Image) -> Hashable:
    """The picture's own content; one that cannot be decoded is like no other, and its judges say so."""
    try:
        plain = picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGBA")
        return plain.mode, plain.size, hashlib.blake2b(plain.tobytes()).digest()
    except (OSError, SyntaxError, ValueError):
        return id(picture)
