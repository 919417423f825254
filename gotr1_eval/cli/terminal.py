"""What a terminal shows: progress bars with rate and time left, and the summary table."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable
from rich.text import Text

from gotr1_eval.core.statistics.summary import Summary
from gotr1_eval.runs.estimate import Estimate
from reports.run_summary import Table, table_json

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
INTERVALS = (
    "95 % intervals: prompts (other prompts of the kind, bootstrap), seeds (other pictures of these very prompts)"
)


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
        self._task = self._progress.add_task(stage, total=total, completed=done)

    def advance(self, items: int) -> None:
        """Moves the bar of the stage."""
        self._done += items
        self._progress.advance(self._task, items)


def show_table(table: Table, *, as_json: bool) -> None:
    """The summary table on stdout."""
    if as_json:
        out.print(json.dumps(table_json(table), indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
        return
    grid = RichTable(title=None, box=None, pad_edge=False, header_style="bold")
    grid.add_column("category")
    for column in table.judges:
        grid.add_column(Text(column.factor.replace("_", " ")), justify="right")
    for category, row in table.rows.items():
        grid.add_row(Text(category), *(_cell(row[column.name]) for column in table.judges))
    out.print(grid)
    if any(cell.low is not None for row in table.rows.values() for cell in row.values()):
        out.print(INTERVALS, style="dim", markup=False, soft_wrap=True)
    for column in table.judges:
        if column.name != column.factor:
            out.print(f"{column.factor.replace('_', ' ')}: {column.name}", style="dim", markup=False, soft_wrap=True)
    for gap in table.gaps:
        out.print(f"incomplete: {gap} (needed {table.min_coverage:.0%})", markup=False)


def show_estimate(counts: Estimate, *, as_json: bool) -> None:
    """What a run would take, on stdout."""
    if as_json:
        out.print(json.dumps(counts.json(), indent=2), markup=False)
        return
    for name, count in counts.json().items():
        out.print(f"{name.replace('_', ' '):<22}{'-' if count is None else format(count, ',')}", markup=False)


def _cell(summary: Summary) -> Text:
    """The mean over its intervals and counts; a count of zero is left out, except of those that were scored."""
    mean = Text("-" if summary.mean is None else f"{summary.mean:.3f}")
    spans = {"prompts": (summary.low, summary.high), "seeds": (summary.seeds_low, summary.seeds_high)}
    lines = [
        f"{name} [{low:.3f}, {high:.3f}]" for name, (low, high) in spans.items() if low is not None and high is not None
    ]
    counts = [f"n={summary.scored}"]
    named = {"unscored": summary.unscored, "n/a": summary.not_applicable, "missing": summary.missing}
    counts += [f"{name} {count}" for name, count in named.items() if count]
    return mean.append("".join(f"\n{line}" for line in [*lines, ", ".join(counts)]), style="dim")
