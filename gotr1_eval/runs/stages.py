"""The one loop over samples: generate and judge, tile by tile, each tile committed to a store in one append.

It works on a whole run of this process and on one part of a run on many machines; both pick up where a killed process
left off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gotr1_eval.core.errors import RunError
from gotr1_eval.core.outcome import Outcome, Unscored, Why, check_range
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.files.remote_pictures import IMAGE_URL, AtHand, at_hand
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.sources import PictureSource
from gotr1_eval.runs.store import Key, Store, tiles
from rewards.inputs import never_made, without_picture
from rewards.reward_set import RewardSet
from rewards.total import Total

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done with samples.

    Attributes:
        pictures: completes them; None where they are judged as the store holds them.
        rewards: without judges they are only generated.
        tile: samples made and judged together.
        retry: reasons (besides a failed backend, which is always asked again) to judge unscored samples anew.
    """

    pictures: PictureSource | None
    rewards: RewardSet
    tile: int
    retry: Collection[Why] = ()

    def judged(self, store: Store, samples: Sequence[Sample]) -> bool:
        """Whether no judge has anything left to do."""
        known = store.judgments()
        return TileWork(samples, self.rewards, known, kept_keys(known, self.retry)).complete()


class Unanswered:
    """Counts the samples in whole tiles, one after the other, that a judge left without any answer."""

    def __init__(self) -> None:
        self._samples, self._failure = 0, ""

    def see(self, tile: TileWork) -> None:
        """One more tile was judged."""
        self._samples = self._samples + len(tile.samples) if tile.failure else 0
        self._failure = tile.failure

    def check(self) -> None:
        """See, before another tile is judged, that the judges still answer.

        Raises:
            RunError: `LEAST_UNANSWERED` samples in a row went without an answer.
        """
        if self._samples >= LEAST_UNANSWERED:
            raise RunError(
                f"{self._samples} samples in a row were not judged, and the run was stopped: {self._failure}; what was "
                "judged is saved, and the same command goes on"
            )


def work_on(
    store: Store,
    planned: Sequence[Sample],
    work: Work,
    *,
    anew: Sequence[int] = (),
    progress: Progress | None = None,
    unanswered: Unanswered | None = None,
    generated: Callable[[Sequence[Sample]], None] = lambda samples: None,
) -> None:
    """Generate what the store lacks of the planned samples, then judge what has no final judgment yet.

    Args:
        planned: all that the store is to hold, in order.
        anew: places where tiles begin anew, see `gotr1_eval.runs.store.tiles`.
        unanswered: what is known of the judges from earlier work.
        generated: is told all samples, once they are there and before they are judged.

    Raises:
        BudgetError: a model's budget is spent.
        RunError: a judge's model answers nothing any more.
        Whatever it raises, what was done until then is committed.
    """
    progress = progress or Silent()
    samples = planned
    if work.pictures is not None:
        samples = _generate(store, planned, work.pictures, tiles(planned, work.tile, anew), progress)
    if work.rewards.judges:
        generated(samples)
        cut = tiles(samples, work.tile, anew)
        judge_tiles(store, cut, work.rewards, retry=work.retry, progress=progress, unanswered=unanswered)


def _generate(
    store: Store,
    planned: Sequence[Sample],
    pictures: PictureSource,
    cut: Sequence[Sequence[Sample]],
    progress: Progress,
) -> list[Sample]:
    """Make every planned sample that the store does not have yet, or whose picture was deleted.

    A tile that is only partly there is made again as a whole, so that its neighbours, and with them its last bits,
    are the same as in an unbroken run; where pictures do not depend on their neighbours it is completed.

    Returns:
        All samples of the plan, in order.

    Raises:
        RunError: the generator failed on `LEAST_UNANSWERED` samples in a row.
    """
    made = store.samples()
    open_ones = [[sample for sample in tile if lacking(made.get(sample.id))] for tile in cut]
    whole_or_open = zip(cut, open_ones, strict=True)
    todo = [lacked if pictures.independent else tile for tile, lacked in whole_or_open if lacked]
    progress.start("generate", len(planned), len(planned) - sum(map(len, todo)))
    in_vain = 0
    for tile in todo:
        finished = pictures.complete(tile, store.folder)
        store.append_samples(finished)
        made |= {sample.id: sample for sample in finished}
        progress.advance(len(tile))
        in_vain = in_vain + len(tile) if all(map(failed, finished)) else 0
        if in_vain >= LEAST_UNANSWERED:
            last = never_made(finished[-1])
            raise RunError(
                f"{in_vain} pictures in a row were not made, and the run was stopped: {last.detail if last else ''}; "
                "what was made is saved, and the same command goes on"
            )
    return [_addressed(made[sample.id], sample) for sample in planned]


def _addressed(made: Sample, planned: Sample) -> Sample:
    """The sample with its picture's address as the plan knows it: what is kept on the disk has no signature in it."""
    address = planned.meta.get(IMAGE_URL)
    return made if address is None else replace(made, meta={**made.meta, IMAGE_URL: address})


def lacking(sample: Sample | None) -> bool:
    """Whether a sample was not made yet, its picture has been deleted since, or the generator failed on it."""
    return sample is None or failed(sample) or (isinstance(sample.image, Path) and not sample.image.exists())


def failed(sample: Sample) -> bool:
    """Whether the generator failed on the sample, and may do better when it is asked again."""
    missing = never_made(sample)
    return missing is not None and missing.why is Why.BACKEND


def judge_tiles(
    store: Store,
    cut: Sequence[Sequence[Sample]],
    rewards: RewardSet,
    *,
    repeat: int = 0,
    retry: Collection[Why] = (),
    stage: str = "judge",
    progress: Progress | None = None,
    unanswered: Unanswered | None = None,
) -> None:
    """Judge every sample that has no final judgment yet, tile by tile, and form the totals of a set that has one.

    Args:
        repeat: how often the judges were asked about them before; each repeat has judgments of its own.
        retry: see `Work`.
        stage: what is told of it to `progress`.

    Raises:
        BudgetError, RunError: see `work_on`.
    """
    progress, unanswered, known = progress or Silent(), unanswered or Unanswered(), store.judgments()
    kept = kept_keys(known, retry)
    tile_works = [TileWork(tile, rewards, known, kept, repeat) for tile in cut]
    todo = [tile for tile in tile_works if not tile.complete()]
    samples = sum(map(len, cut))
    progress.start(stage, samples, samples - sum(len(tile.samples) for tile in todo))
    for tile in todo:
        unanswered.check()
        fresh: list[Judgment] = []
        try:
            tile.judge(fresh)
        finally:
            store.append_judgments(fresh)  # what was paid for is kept, also when the run is stopped here
        progress.advance(len(tile.samples))
        unanswered.see(tile)


def kept_keys(known: Mapping[Key, Judgment], retry: Collection[Why]) -> set[Key]:
    """The judgments that are not asked for again."""
    return {key for key, judgment in known.items() if judgment.final and not _wanted_again(judgment.outcome, retry)}


def _wanted_again(outcome: Outcome, retry: Collection[Why]) -> bool:
    return isinstance(outcome, Unscored) and outcome.why in retry


@dataclass(slots=True)
class TileWork:
    """The judgments that one tile still needs.

    Attributes:
        repeat: see `judge_tiles`.
        failure: of a judge that failed on every sample of the tile; empty where there is none.
    """

    samples: Sequence[Sample]
    rewards: RewardSet
    known: dict[Key, Judgment]
    kept: set[Key]
    repeat: int = 0
    failure: str = ""

    def complete(self) -> bool:
        """Whether every judge and the total have a final judgment of every sample."""
        return all(
            (sample.id, *maker, self.repeat) in self.kept for sample in self.samples for maker in self.rewards.makers
        )

    def judge(self, fresh: list[Judgment]) -> None:
        """Add the new judgments of all judges, one judge after the other, then the totals."""
        with at_hand(self.samples) as found:
            self._judge(found, fresh)

    def _judge(self, found: AtHand, fresh: list[Judgment]) -> None:
        judges, samples = self.rewards.judges, found.samples
        # A sample whose picture was lost is not shown to any judge, one whose picture was never made to none that
        # looks at pictures.
        lost = {
            factor: [found.lost.get(sample.id) or without_picture(sample, judge) for sample in samples]
            for factor, judge in judges.items()
        }
        known = {
            factor: [self._kept(sample, judge) or gone for sample, gone in zip(samples, lost[factor], strict=True)]
            for factor, judge in judges.items()
        }

        def note(factor: str, outcomes: Sequence[Outcome], seconds: float) -> None:
            judge = judges[factor]
            pairs = [pair for pair in zip(samples, outcomes, strict=True) if self._kept(pair[0], judge) is None]
            judged = [self._judgment(sample, judge, outcome, seconds / len(pairs)) for sample, outcome in pairs]
            fresh.extend(judged)
            hidden = {sample.id for sample, gone in zip(samples, lost[factor], strict=True) if gone}
            self.failure = self.failure or _failure(judged, hidden)

        rows = self.rewards.judge(samples, known, note)
        fresh += self._totals(rows)

    def _kept(self, sample: Sample, judge: Judge) -> Outcome | None:
        """The outcome that a judge need not give again."""
        key = (sample.id, judge.name, judge.fingerprint, self.repeat)
        return self.known[key].outcome if key in self.kept else None

    def _totals(self, rows: Sequence[Mapping[str, Outcome]]) -> Iterator[Judgment]:
        total = self.rewards.total
        if total is None:
            return
        for sample, row in zip(self.samples, rows, strict=True):
            judgment = self._judgment(sample, total, check_range(row["total"], *total.range, judge=total.name))
            known = self.known.get(judgment.key)
            if known is None or known.outcome != judgment.outcome:
                yield judgment

    def _judgment(self, sample: Sample, maker: Judge | Total, outcome: Outcome, seconds: float = 0.0) -> Judgment:
        return Judgment(
            sample=sample.id, judge=maker.name, fingerprint=maker.fingerprint, outcome=outcome, seconds=seconds,
            repeat=self.repeat,
        )  # fmt: skip


def _failure(judged: Sequence[Judgment], hidden: Collection[str]) -> str:
    """Why the judge failed, when it did on every sample that it was shown; empty when it did not."""
    shown = [judgment for judgment in judged if judgment.sample not in hidden]
    if not shown or any(judgment.final for judgment in shown):
        return ""
    outcome = shown[-1].outcome
    return f"judge {shown[-1].judge}: {outcome.detail if isinstance(outcome, Unscored) else ''}"
