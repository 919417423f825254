"""A judge that ends its own process, as a failing machine does: so many times, at marked prompts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Dies at prompts that hold `deadly`, so many times in all; the folder `graves` counts.

    Attributes:
        log: a file to which the ids of judged samples are added.
        seconds: what a tile takes.
        silent: answers nothing.
    """

    graves: Path
    deadly: str = "deadly"
    deaths: int = 0
    log: Path | None = None
    seconds: float = 0.0
    silent: bool = False


class DyingJudge:
    name = "dying"
    range = (0.0, 1.0)
    fingerprint = "dying-1"
    may_not_apply = False
    looks_at: LooksAt | None = None
    needs = frozenset[str]()
    model_calls = 0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        if self.settings.silent:
            raise BackendError("nobody answers")
        time.sleep(self.settings.seconds)
        graves = self.settings.graves
        marked = any(self.settings.deadly in sample.prompt for sample in samples)
        if marked and len(list(graves.iterdir())) < self.settings.deaths:
            (graves / f"{os.getpid()}-{time.monotonic_ns()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.settings.log is not None:
            with self.settings.log.open("a") as log:
                log.write("".join(f"{sample.id}\n" for sample in samples))
        return [Score(value=len(sample.prompt) / 100) for sample in samples]


def build(settings: Settings, workshop: Workshop) -> DyingJudge:
    return DyingJudge(settings)
