"""The prompts of a training run, mixed by stated shares; which ones a step takes depends on seed and step alone.

A prompt comes with its facts, which are what a benchmark's samples would have in their `meta`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.protocols import Suite
from gotr1_eval.core.types import Prompt
from gotr1_eval.files.prompts import read_prompts
from training.settings import PromptSource

OpenSuite = Callable[[Mapping[str, Any]], Suite]
"""Builds the suite that ``{"use": name, ...}`` describes."""


class PromptMix:
    """Prompts from several sources.

    Each source is gone through in a shuffled order, again and again in new orders, so that none of its prompts comes
    a third time before all have come twice.

    Args:
        open_suite: see `OpenSuite`; needed by sources that are suites.

    Raises:
        UsageError, DataError: a source cannot be read or is empty.
    """

    def __init__(self, sources: Sequence[PromptSource], seed: int, open_suite: OpenSuite) -> None:
        self._lists = [read_source(source, open_suite) for source in sources]
        self._shares = [source.share for source in sources]
        self._seed = seed
        self._draws: list[tuple[int, int]] = []
        self._counts = [0] * len(sources)

    @property
    def facts(self) -> frozenset[str]:
        """The names of all facts that at least one of the prompts has."""
        prompts = (prompt for listed in self._lists for prompt in listed)
        return frozenset(name for prompt in prompts for name, fact in prompt.facts.items() if fact is not None)

    def step(self, step: int, count: int) -> list[Prompt]:
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

    def _at(self, source: int, draw: int) -> Prompt:
        listed = self._lists[source]
        epoch, at = divmod(draw, len(listed))
        return listed[_shuffled(len(listed), f"{self._seed} {source} {epoch}")[at]]


@lru_cache(maxsize=16)
def _shuffled(count: int, seed: str) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def read_source(source: PromptSource, open_suite: OpenSuite) -> tuple[Prompt, ...]:
    """The prompts of one source, with their category among their facts."""
    if source.suite is None:
        return tuple(
            Prompt(prompt.text, {"category": category, **prompt.facts})
            for category, prompts in read_prompts(str(source.file)).items()
            for prompt in prompts
        )
    suite = open_suite(source.suite_settings)
    for name in source.categories:
        if name not in suite.categories:
            hint = f"{nearest_name(name, suite.categories)} (known: {', '.join(suite.categories)})"
            raise UsageError(f"prompts: suite {suite.name} has no category {name!r}{hint}")
    found = tuple(
        Prompt(text, {"category": category, **suite.facts(category, index)})
        for category in source.categories or suite.categories
        for index, text in enumerate(suite.prompts(category))
    )
    if not found:
        raise UsageError(f"prompts: suite {suite.name} has no prompts")
    return found
