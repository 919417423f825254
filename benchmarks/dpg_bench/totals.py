"""DPG-Bench's totals of judged pictures, and of the files that the official script writes.

The headline is the mean of the files' scores, a file's being the mean over its pictures. The categories of `reference`
are another statistic: micro over the questions of each file's LAST picture alone, by the answers before any was denied
by its parent (lines 161 and 205-211), so that they are never lower than what the headline is made of, and noisier.
`corrected` takes all pictures, and the answers that count.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.dpg_bench.propositions import broad
from benchmarks.semantics import Semantics
from gotr1_eval.core.statistics.intervals import Interval, prompt_bootstrap
from gotr1_eval.core.types import Json

FEW = 30
"""Prompts up to which a category's mean deserves a word of warning."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question about one picture: its category, its answer as read, and as it counts."""

    category: str
    read: float
    counted: float


@dataclass(frozen=True, slots=True)
class File:
    """An item's pictures in order, each with its answered questions."""

    item: str
    pictures: tuple[tuple[Answered, ...], ...]

    @property
    def score(self) -> float:
        """The mean of the pictures' means."""
        return statistics.fmean(statistics.fmean(one.counted for one in picture) for picture in self.pictures)


@dataclass(frozen=True, slots=True)
class CategoryMean:
    """A category's mean in [0, 1], and what it stands on."""

    value: float
    questions: int
    prompts: int
    interval: Interval

    def json(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "value": self.value, "questions": self.questions, "prompts": self.prompts, "interval": [*self.interval],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """DPG-Bench's numbers in [0, 1] (published ones are percentages)."""

    value: float
    files: int
    interval: Interval
    broad: Mapping[str, CategoryMean]
    detailed: Mapping[str, CategoryMean]

    def json(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "dpg": self.value,
            "files": self.files,
            "interval": [*self.interval],
            "categories": {name: mean.json() for name, mean in self.broad.items()},
            "detailed_categories": {name: mean.json() for name, mean in self.detailed.items()},
        }

    def __str__(self) -> str:
        """The lines that the official script prints, with counts and intervals by prompt."""
        lines = [f"DPG {100 * self.value:.2f}{_within(self.interval)} over {self.files} prompts"]
        for level in (self.broad, self.detailed):
            for name, mean in level.items():
                few = f"; only {mean.prompts} prompts" if mean.prompts <= FEW else ""
                told = f"{mean.questions} questions of {mean.prompts} prompts{few}"
                lines.append(f"  {name}: {100 * mean.value:.2f}{_within(mean.interval)} ({told})")
        return "\n".join(lines)


def _within(interval: Interval) -> str:
    low, high = interval
    return "" if low is None or high is None else f" [{100 * low:.2f}, {100 * high:.2f}]"


def total(files: Sequence[File], semantics: Semantics) -> Totals | None:
    """The totals; None without a file."""
    if not files:
        return None
    names = sorted({one.category for file in files for picture in file.pictures for one in picture})
    scores = [[file.score] for file in files]
    return Totals(
        value=statistics.fmean(file.score for file in files),
        files=len(files),
        interval=prompt_bootstrap(scores),
        broad=_means(
            files, {broad(name): [each for each in names if broad(each) == broad(name)] for name in names}, semantics
        ),
        detailed=_means(files, {name: [name] for name in names}, semantics),
    )


def _means(files: Sequence[File], groups: Mapping[str, Sequence[str]], semantics: Semantics) -> dict[str, CategoryMean]:
    found = {}
    for name, members in groups.items():
        by_prompt = [values for file in files if (values := _values(file, members, semantics))]
        values = [value for group in by_prompt for value in group]
        if values:
            found[name] = CategoryMean(
                statistics.fmean(values), len(values), len(by_prompt), prompt_bootstrap(by_prompt)
            )
    return found


def _values(file: File, categories: Sequence[str], semantics: Semantics) -> list[float]:
    pictures = file.pictures[-1:] if semantics == "reference" else file.pictures
    return [
        one.read if semantics == "reference" else one.counted
        for picture in pictures
        for one in picture
        if one.category in categories
    ]
