"""DrawBench (arXiv 2205.11487): prompts that reward papers hold out and judge by a panel; no metric of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.official import PlainSuite
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Settings as StrictSettings

FILE = "test.txt"


class Settings(StrictSettings):
    """The folder with the file of prompts; None for the fetched one."""

    data: Path | None = None


class DrawBench(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`; the file has every prompt several times, the suite once."""

    name = "drawbench"
    categories = ("drawbench",)
    reward_set = "panel-small"
    images_per_prompt = 1

    def __init__(self, data: Path | None) -> None:
        self._data = data

    def prompts(self, category: str) -> Sequence[str]:
        """The distinct prompts in the order in which they first come; raises DataError for another file."""
        return self._prompts

    @cached_property
    def _prompts(self) -> list[str]:
        path = require_data("drawbench", self._data) / FILE
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"expected a prompt a line ({error})", path=path) from None
        return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def build(settings: Settings, workshop: Workshop) -> DrawBench:
    """The suite; its file is read when it is first needed."""
    return DrawBench(settings.data)
