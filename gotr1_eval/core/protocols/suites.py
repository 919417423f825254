"""What a benchmark must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gotr1_eval.core.types import Json, Sample


@dataclass(frozen=True, slots=True)
class OfficialMetric:
    """A benchmark's own metric for some of its categories.

    Which models it looks with is stated by its judge's settings: those without a default are needed, and a category
    whose models are not all named gets no official score.

    Attributes:
        column: its name in the tables.
        judge: the plug-in that computes it.
        settings: of that judge, which follow from the suite's own.
    """

    column: str
    judge: str
    categories: tuple[str, ...]
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OfficialSummary:
    """What a file of a benchmark's scripts comes to: as JSON, for people, and a line for each thing that is missing."""

    content: Mapping[str, Json]
    text: str
    gaps: tuple[str, ...] = ()


class PictureLayout(Protocol):
    """The folder in which a benchmark's official evaluator looks for pictures; see `gotr1_eval.runs.layouts`."""

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """Where each sample's picture belongs, relative to the folder, by sample id.

        Args:
            samples: all of the run, whether made or not, so that shards and restarts agree on names and numbers.

        Raises:
            UsageError: a sample that the layout cannot hold.
        """
        ...

    def metadata(self, sample: Sample) -> Mapping[str, Json] | None:
        """The row of the ``metadata.jsonl`` above the picture's folder; None in a layout without such files."""
        ...


class Suite(Protocol):
    """A benchmark's prompts, its official metrics, and the judges it is usually scored with.

    What needs no code stands in data files of its folder, all optional: ``data.toml`` (what is fetched, with pins and
    licence), ``weights.toml`` (the official weights), ``reports.toml`` (what published numbers were made with) and
    ``published.csv`` (the numbers). docs/extending.md shows them.
    """

    @property
    def name(self) -> str:
        """The first part of every sample id."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """In the order of the tables."""
        ...

    @property
    def reward_set(self) -> str | None:
        """Name of the judges and total used when none are asked for; None where official metrics alone make sense."""
        ...

    @property
    def official(self) -> tuple[OfficialMetric, ...]:
        """The benchmark's own metrics, in the order of the tables; none where it has none."""
        ...

    @property
    def images_per_prompt(self) -> int:
        """Used when no other number is asked for."""
        ...

    @property
    def layout(self) -> PictureLayout | None:
        """How its official evaluator wants the pictures; None where it has none."""
        ...

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts; a prompt's place in this list is its index for ever."""
        ...

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """What is known about a prompt besides its text, for its samples' `meta`; mostly nothing."""
        ...

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Role -> settings of the models with which the category's published scores were made.

        Args:
            file: the place of an official file on this machine, by its key in `gotr1_eval.files.official_files`.
        """
        ...

    def write_official(self, run: Path) -> list[str]:
        """Write what the official scripts write into a judged run's folder; lines that sum it up, for people."""
        ...

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The summary of a file that the official scripts wrote.

        Raises:
            UsageError: the benchmark's scripts write no such file.
            DataError: the file is another one.
        """
        ...
