"""What a run has cost so far: seconds of each stage, and what servers counted, by their stated prices also in money.

run.json holds it under ``setup``, ``cost``, added up over resumes. A process that is killed outright leaves its own
share out. Workers of other machines do not tell what they asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from gotr1_eval.core.protocols import Spent
from gotr1_eval.core.types import Json
from gotr1_eval.runs.stages import Progress
from gotr1_eval.runs.store import KEPT, RunInfo, read_info, write_info

_NOTHING = 0.05
"""Seconds below which a stage is not told: reading what is there already takes some, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was spent.

    Attributes:
        seconds: stage ("generate", "judge") -> its wall time.
        spent: by model.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    spent: Mapping[str, Spent] = field(default_factory=dict)

    def __add__(self, other: Cost) -> Cost:
        seconds = dict(self.seconds)
        for stage, taken in other.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + taken
        spent = dict(self.spent)
        for name, one in other.spent.items():
            spent[name] = spent[name] + one if name in spent else one
        return Cost(seconds=seconds, spent=spent)

    def __bool__(self) -> bool:
        return bool(self.seconds or self.spent)

    def __str__(self) -> str:
        """In words: ``generate 31 s, judge 1 min 20 s; qwen: 12,345 + 678 tokens, 0.12 by the stated prices``."""
        stages = ", ".join(f"{stage} {duration(taken)}" for stage, taken in self.seconds.items() if taken >= _NOTHING)
        return "; ".join(filter(None, [stages, *map(str, self.spent.values())]))

    def json(self) -> dict[str, Json]:
        """As JSON values."""
        spent: dict[str, Json] = {name: asdict(one) for name, one in self.spent.items()}
        return {"seconds": {stage: round(taken, 3) for stage, taken in self.seconds.items()}, "spent": spent}


def duration(seconds: float) -> str:
    """``0.4 s``, ``31 s``, ``1 min 20 s``, ``2 h 5 min``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def cost_of(info: RunInfo) -> Cost:
    """What a run has cost so far; nothing where its run.json does not say."""
    told: Any = info.setup.get(KEPT)
    if not isinstance(told, Mapping):
        return Cost()
    spent = {str(name): Spent(**one) for name, one in told.get("spent", {}).items()}
    return Cost(seconds={str(stage): float(taken) for stage, taken in told.get("seconds", {}).items()}, spent=spent)


def add_cost(folder: Path, cost: Cost) -> None:
    """Add to what the run's run.json says; nothing happens where there is no run, or no cost."""
    if cost and (folder / "run.json").exists():
        info = read_info(folder)
        write_info(folder, replace(info, setup={**info.setup, KEPT: (cost_of(info) + cost).json()}))


class Meter:
    """Progress that is handed on, and timed: a stage in which nothing was left to do has no seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage, self._begun, self._moved = "", 0.0, False
        self._seconds: dict[str, float] = {}

    def start(self, stage: str, total: int, done: int) -> None:
        """See `Progress`."""
        self._end()
        self._stage, self._begun, self._moved = stage, monotonic(), False
        self._progress.start(stage, total, done)

    def advance(self, items: int) -> None:
        """See `Progress`."""
        self._moved = True
        self._progress.advance(items)

    def _end(self) -> None:
        if self._moved:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + monotonic() - self._begun
        self._moved = False

    def cost(self, before: Iterable[Spent], after: Iterable[Spent]) -> Cost:
        """What the stages took up to now, and what models spent between two moments."""
        self._end()
        known = {one.name: one for one in before}
        spent = {one.name: one - known[one.name] if one.name in known else one for one in after}
        return Cost(seconds=self._seconds, spent={name: one for name, one in spent.items() if one})


@contextmanager
def counted(folder: Path, progress: Progress, spent: Callable[[], Iterable[Spent]]) -> Iterator[Meter]:
    """Progress for work on a run; what the work cost is added to the run's, also where it fails.

    Args:
        spent: what the models have spent up to now.
    """
    meter, before = Meter(progress), list(spent())
    try:
        yield meter
    finally:
        add_cost(folder, meter.cost(before, spent()))
