"""What a terminal shows: text of other people without its control codes, and progress with rate and time left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from gotr1_eval.runs.estimate import Estimate

LINE_EVERY = 30.0
"""Seconds between two lines of progress where no terminal shows a bar, as in the log of a batch job."""
_CODES = {*range(32), *range(127, 160)} - {ord("\t"), ord("\n")}
_HARMLESS = dict.fromkeys(_CODES, "\N{REPLACEMENT CHARACTER}")


class HarmlessConsole(Console):
    """Shows prompts, replies and file names as text: no code of theirs moves the cursor or renames the window."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments, of which only the console's own carry codes."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else text.translate(_HARMLESS), style, control)


out = HarmlessConsole(highlight=False)
err = HarmlessConsole(stderr=True, highlight=False)


def print_json(content: object) -> None:
    """The answer of --json."""
    out.print(json.dumps(content, indent=2, ensure_ascii=False), markup=False, soft_wrap=True)


@contextmanager
def hushed(quiet: bool) -> Iterator[None]:
    """Nothing on stderr while the block runs, where that is asked for; errors are not the console's."""
    err.quiet = quiet
    try:
        yield
    finally:
        err.quiet = False


class _Rate(ProgressColumn):
    """Samples a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f}/s", style="progress.data.speed")


class _Traffic(ProgressColumn):
    """What judge servers are doing."""

    def __init__(self, traffic: Callable[[], str]) -> None:
        super().__init__()
        self._traffic = traffic

    def render(self, task: Task) -> Text:
        return Text(self._traffic(), style="dim")


class Bars:
    """Shows the stages of a run; satisfies `gotr1_eval.runs.stages.Progress`. Everything goes to stderr.

    Args:
        traffic: what judge servers are doing, shown beside the bar, and once more where all went well.
    """

    def __init__(self, traffic: Callable[[], str] = str) -> None:
        self._traffic = traffic
        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            _Traffic(traffic),
            console=err,
            disable=not err.is_terminal,
        )
        self._task = self._progress.add_task("", visible=False)
        self._stage, self._done, self._total = "", 0, 0
        self._begun = self._told = monotonic()
        self._first = 0

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is not None and self._done:
            told = f"{self._stage}: stopped after {self._done} of {self._total} samples; what was made of them is kept"
            err.print(told, markup=False, soft_wrap=True)
        if kind is None and (told := self._traffic()):
            err.print(told, markup=False, soft_wrap=True)

    def start(self, stage: str, total: int, done: int) -> None:
        """A new bar; says in words how much was there already."""
        if done:
            err.print(f"{stage}: {done} of {total} were there already")
        self._stage, self._done, self._total = stage, done, total
        self._begun = self._told = monotonic()
        self._first = done
        self._task = self._progress.add_task(stage, total=total, completed=done)

    def advance(self, items: int) -> None:
        """Moves the bar of the stage."""
        self._done += items
        self._progress.advance(self._task, items)
        if not err.is_terminal and monotonic() - self._told >= LINE_EVERY:
            self._told = monotonic()
            err.print(self._line(self._told - self._begun), markup=False, soft_wrap=True)

    def _line(self, seconds: float) -> str:
        """How far the stage is, for a log."""
        rate = (self._done - self._first) / seconds
        left = round((self._total - self._done) / rate) if rate else 0
        return f"{self._stage}: {self._done} of {self._total}, {rate:.2g}/s, {left // 3600}:{left // 60 % 60:02} h left"


def side_by_side(widths: Sequence[int], room: int, gap: int = 2) -> list[list[int]]:
    """Places of columns in as few groups as the room holds, in order; a column that is wider stands alone.

    Args:
        widths: of the columns, in characters.
        room: of a group, what stands before its columns taken off.
        gap: before each column.
    """
    groups, left = list[list[int]](), -1
    for place, width in enumerate(widths):
        if width + gap > left or not groups:
            groups.append([])
            left = room
        groups[-1].append(place)
        left -= width + gap
    return groups


def show_estimate(counts: Estimate, *, as_json: bool) -> None:
    """What a run would take, on stdout."""
    if as_json:
        out.print(json.dumps(counts.json(), indent=2), markup=False)
        return
    for name, count in counts.json().items():
        out.print(f"{name.replace('_', ' '):<22}{'-' if count is None else format(count, ',')}", markup=False)
