"""A bar a stage, for scripts and notebooks; the command line has bars of its own, which also tell of servers."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class StageBars:
    """Satisfies `gotr1_eval.runs.stages.Progress` while it is entered."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        )
        self._task = TaskID(0)

    def __enter__(self) -> StageBars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int, done: int) -> None:
        """A new bar."""
        self._task = self._bars.add_task(stage, total=total, completed=done)

    def advance(self, items: int) -> None:
        """Moves it."""
        self._bars.advance(self._task, items)
