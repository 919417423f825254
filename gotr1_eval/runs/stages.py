"""The two stages of a run, generate and judge, tile by tile; both pick up where a killed process left off."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gotr1_eval.core.errors import RunError
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Unscored, Why, check_range
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.files.remote_pictures import IMAGE_URL, AtHand, at_hand
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.sources import Painter
from gotr1_eval.runs.store import RunStore, tiles
from rewards.reward_set import RewardSet

Key = tuple[str, str, str, int]

LEAST_UNANSWERED = 8
"""Samples in whole tiles without any answer, after which a run is stopped: the model behind the judge is gone."""


class Progress(Protocol):
    """Is told how far a stage has come."""

    def start(self, stage: str, total: int, done: int) -> None:
        """A stage begins: so many items in all, so many of them already there."""
        ...

    def advance(self, items: int) -> None:
        """So many more items are done and on the disk."""
        ...


class Silent:
    """No progress shown."""

    def start(self, stage: str, total: int, done: int) -> None:
        """Ignored."""

    def advance(self, items: int) -> None:
        """Ignored."""


def generate(
    store: RunStore,
    plan: Sequence[Sample],
    painter: Painter,
    *,
    tile: int,
    progress: Progress,
    anew: Sequence[int] = (),
) -> list[Sample]:
    """Make every planned sample that the run does not have yet, or whose picture was deleted.

    A tile that is only partly there is made again as a whole, so that its neighbours, and with them its last bits,
    are the same as in an unbroken run.

    Returns:
        All samples of the plan, in order.
    """
    made = store.samples()
    todo = [part for part in tiles(plan, tile, anew) if any(lacking(made.get(sample.id)) for sample in part)]
    progress.start("generate", len(plan), len(plan) - sum(map(len, todo)))
    for part in todo:
        finished = painter.paint(part, store.folder)
        store.append_samples(finished)
        made |= {sample.id: sample for sample in finished}
        progress.advance(len(part))
    return [_addressed(made[sample.id], sample) for sample in plan]


def _addressed(made: Sample, planned: Sample) -> Sample:
    """The sample with its picture's address as the plan knows it: what is kept on the disk has no signature in it."""
    address = planned.meta.get(IMAGE_URL)
    return made if address is None else replace(made, meta={**made.meta, IMAGE_URL: address})


def lacking(sample: Sample | None) -> bool:
    """Whether a sample was not made yet, or its picture has been deleted since."""
    return sample is None or (isinstance(sample.image, Path) and not sample.image.exists())


def judge(
    store: RunStore,
    samples: Sequence[Sample],
    rewards: RewardSet,
    *,
    tile: int,
    progress: Progress,
    retry: Collection[Why] = (),
    anew: Sequence[int] = (),
) -> None:
    """Judge every sample that has no final judgment yet, and form the totals.

    Args:
        anew: places where tiles begin anew, see `gotr1_eval.runs.store.tiles`.
        retry: reasons (besides a failed backend, which is always asked again) to judge unscored samples anew.

    Raises:
        BudgetError: a model's budget is spent.
        RunError: a judge's model answers nothing any more.
        Whatever it raises, what was judged until then is saved.
    """
    known = store.judgments()
    kept = kept_keys(known, retry)
    work = [TileWork(part, rewards, known, kept) for part in tiles(samples, tile, anew)]
    todo = [part for part in work if not part.complete()]
    progress.start("judge", len(samples), len(samples) - sum(len(part.samples) for part in todo))
    unanswered = 0
    for place, part in enumerate(todo, start=1):
        done: list[Judgment] = []
        try:
            part.judge(done)
        finally:
            store.append_judgments(done)  # what was paid for is kept, also when the run is stopped here
        progress.advance(len(part.samples))
        unanswered = unanswered + len(part.samples) if part.failure else 0
        if unanswered >= LEAST_UNANSWERED and place < len(todo):
            raise RunError(
                f"{unanswered} samples in a row were not judged, and the run was stopped: {part.failure}; what was "
                "judged is saved, and the same command goes on"
            )


def is_judged(store: RunStore, plan: Sequence[Sample], rewards: RewardSet, retry: Collection[Why] = ()) -> bool:
    """Whether no judge has anything left to do."""
    known = store.judgments()
    return TileWork(plan, rewards, known, kept_keys(known, retry)).complete()


def kept_keys(known: Mapping[Key, Judgment], retry: Collection[Why]) -> set[Key]:
    """The judgments that are not asked for again."""
    return {key for key, judgment in known.items() if judgment.final and not _wanted_again(judgment.outcome, retry)}


def _wanted_again(outcome: Outcome, retry: Collection[Why]) -> bool:
    return isinstance(outcome, Unscored) and outcome.why in retry


@dataclass(slots=True)
class TileWork:
    """The judgments that one tile still needs.

    Attributes:
        failure: of a judge that failed on every sample of the tile; empty where there is none.
    """

    samples: Sequence[Sample]
    rewards: RewardSet
    known: dict[Key, Judgment]
    kept: set[Key]
    failure: str = ""

    def complete(self) -> bool:
        """Whether every judge and the total have a final judgment of every sample."""
        return all((sample.id, *maker, 0) in self.kept for sample in self.samples for maker in self.rewards.makers)

    def judge(self, fresh: list[Judgment]) -> None:
        """Add the new judgments of all judges, one judge after the other, then the totals."""
        with at_hand(self.samples) as found:
            self._judge(found, fresh)

    def _judge(self, found: AtHand, fresh: list[Judgment]) -> None:
        outcomes: dict[str, dict[str, Outcome]] = {sample.id: {} for sample in self.samples}
        for factor, maker in self.rewards.judges.items():
            keys = {sample.id: (sample.id, maker.name, maker.fingerprint, 0) for sample in self.samples}
            needed = [sample for sample in found.samples if keys[sample.id] not in self.kept]
            judged = list(_judge_batch(maker, needed, found.lost))
            fresh += judged
            self.failure = self.failure or _failure(judged, found.lost)
            for judgment in judged:
                outcomes[judgment.sample][factor] = judgment.outcome
            for sample in self.samples:
                if keys[sample.id] in self.kept:
                    outcomes[sample.id][factor] = self.known[keys[sample.id]].outcome
        fresh += self._totals(outcomes)

    def _totals(self, outcomes: dict[str, dict[str, Outcome]]) -> Iterator[Judgment]:
        total = self.rewards.total
        if total is None:
            return
        for sample in self.samples:
            outcome = check_range(total.combine(outcomes[sample.id]), *total.range, judge=total.name)
            judgment = Judgment(sample=sample.id, judge=total.name, fingerprint=total.fingerprint, outcome=outcome)
            known = self.known.get(judgment.key)
            if known is None or known.outcome != outcome:
                yield judgment


def _failure(judged: Sequence[Judgment], lost: Mapping[str, Unscored]) -> str:
    """Why the judge failed, when it did on every sample that it was shown; empty when it did not."""
    shown = [judgment for judgment in judged if judgment.sample not in lost]
    if not shown or any(judgment.final for judgment in shown):
        return ""
    outcome = shown[-1].outcome
    return f"judge {shown[-1].judge}: {outcome.detail if isinstance(outcome, Unscored) else ''}"


def _judge_batch(judge: Judge, samples: Sequence[Sample], lost: Mapping[str, Unscored]) -> Iterator[Judgment]:
    """One judge over the samples of one tile; those whose pictures were lost are not shown to it."""
    start = time.perf_counter()
    shown = [sample for sample in samples if sample.id not in lost]
    judged = iter(judge_batch(judge, shown))
    seconds = (time.perf_counter() - start) / max(len(samples), 1)
    for sample in samples:
        outcome = lost[sample.id] if sample.id in lost else next(judged)
        yield Judgment(
            sample=sample.id, judge=judge.name, fingerprint=judge.fingerprint, outcome=outcome, seconds=seconds
        )
