"""The prompts of a training run, mixed by stated shares; which ones a step takes depends on seed and step alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.files.prompts import read_prompts
from gotr1_eval.files.public_data import require_data
from gotr1_eval.shapes.prompts import CATEGORIES, prompts
from training.settings import PromptSource

_TRAIN = "_train.txt"


class PromptMix:
    """Prompts from several sources.

    Each source is gone through in a shuffled order, again and again in new orders, so that none of its prompts comes
    a third time before all have come twice.

    Raises:
        UsageError, DataError: a source cannot be read or is empty.
    """

    def __init__(self, sources: Sequence[PromptSource], seed: int) -> None:
        self._lists = [read_source(source) for source in sources]
        self._shares = [source.share for source in sources]
        self._seed = seed
        self._draws: list[tuple[int, int]] = []
        self._counts = [0] * len(sources)

    def step(self, step: int, count: int) -> list[str]:
        """The prompts of a step: which source each comes from is drawn, by the shares."""
        return [self._at(*self._drawn(place)) for place in range(step * count, (step + 1) * count)]

    def _drawn(self, place: int) -> tuple[int, int]:
        """(the source of that place in the run, how many places before it were the same source's)."""
        while len(self._draws) <= place:
            dice = random.Random(f"{self._seed} source {len(self._draws)}")
            source = dice.choices(range(len(self._lists)), self._shares)[0]
            self._draws.append((source, self._counts[source]))
            self._counts[source] += 1
        return self._draws[place]

    def _at(self, source: int, draw: int) -> str:
        listed = self._lists[source]
        epoch, at = divmod(draw, len(listed))
        return listed[_shuffled(len(listed), f"{self._seed} {source} {epoch}")[at]]


@lru_cache(maxsize=16)
def _shuffled(count: int, seed: str) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def read_source(source: PromptSource) -> tuple[str, ...]:
    """The prompts of one source."""
    if source.file is not None:
        return _of_file(source.file)
    if source.t2i_compbench is not None:
        return _compbench(source.t2i_compbench, require_data("t2i-compbench", source.data))
    wanted = source.shapes or CATEGORIES
    for name in wanted:
        if name not in CATEGORIES:
            raise UsageError(f"prompts: the shapes world has no category {name!r} (known: {', '.join(CATEGORIES)})")
    return tuple(prompt for category in wanted for prompt in prompts(category, "train"))


def _of_file(file: Path) -> tuple[str, ...]:
    return tuple(prompt for listed in read_prompts(file).values() for prompt in listed)


def _compbench(wanted: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The train prompts of these categories of T2I-CompBench, of all for none."""
    known = sorted(path.name.removesuffix(_TRAIN) for path in folder.glob(f"*{_TRAIN}"))
    for name in wanted:
        if name not in known:
            there = ", ".join(known) or f"none in {folder}"
            raise UsageError(f"prompts: T2I-CompBench has no train prompts of {name!r} (known: {there})")
    if not known:
        raise UsageError(f"prompts: no <category>{_TRAIN} in {folder}")
    return tuple(prompt for name in wanted or known for prompt in _of_file(folder / f"{name}{_TRAIN}"))
