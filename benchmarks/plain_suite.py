"""What a suite without official metrics, scripts and layout says: the base of suites that state only what they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, PictureLayout
from gotr1_eval.core.types import Json


class PlainSuite:
    """The optional parts of `gotr1_eval.core.protocols.Suite`; a suite overrides those that it has."""

    name: str
    official: tuple[OfficialMetric, ...] = ()
    layout: PictureLayout | None = None

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """Nothing besides the text."""
        return {}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """None: there are no published scores, or they were made without models."""
        return {}

    def write_official(self, run: Path) -> list[str]:
        """Nothing: the table holds what official scripts print, or there are none."""
        return []

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """Raises UsageError: no official script writes such a file."""
        raise UsageError(
            f"--results {path}: no official script of suite {self.name} writes a file that can be summed up"
        )
