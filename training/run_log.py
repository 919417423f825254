"""What a GRPO run tells, and where: lines in its folder, trackers, and whoever watches it.

metrics.jsonl, groups.jsonl, evaluations.jsonl   a line a step, or an evaluation; the first process writes them
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from gotr1_eval.files.jsonl import append_rows, cut_torn_line, dump, read_rows
from gotr1_eval.files.writing import write_atomically
from training.metrics import Metrics, Report
from training.rollout import JudgedRollout
from training.sample_table import log_table, sample_table
from training.settings_tables import SampleTableSettings
from training.trend import TrendWatch

GROUPS = "groups.jsonl"
"""A line a step: the spreads of the reward within its groups."""


class RunLog:
    """The metrics of a run's steps and evaluations.

    Args:
        folder: of the run.
        headline: the factor that is the reward, whose trend is told.
        report: is handed what the first process logs.
        table: of samples in the trackers; see `SampleTableSettings`.
    """

    def __init__(
        self, folder: Path, accelerator: Accelerator, headline: str, report: Report, table: SampleTableSettings | None
    ) -> None:
        self._folder, self._accelerator, self._headline = folder, accelerator, headline
        self._table, self.report = table, report
        self._trends = TrendWatch(headline)

    def go_on_from(self, done: int) -> None:
        """Forget what a killed run told of later steps; all processes call it."""
        if self._accelerator.is_main_process:
            forget_after(self._folder, done)
        self._accelerator.wait_for_everyone()
        self._trends = TrendWatch(self._headline, self._rows("metrics.jsonl"))

    def evaluated(self) -> set[int]:
        """Steps whose evaluations are written, on every process: one that a stop came before is made up for."""
        found = [{int(row["step"]) for row in self._rows("evaluations.jsonl")}]
        broadcast_object_list(found)
        return found[0]

    def step(self, done: int, metrics: Mapping[str, float], spreads: Sequence[float]) -> None:
        """The metrics of the step that is done, and its groups' spreads."""
        if not self._accelerator.is_main_process:
            return
        row = {"step": done, **metrics}
        row |= self._trends.see(row)
        append_rows(self._folder / "metrics.jsonl", [row])
        append_rows(self._folder / GROUPS, [{"step": done, "spreads": list(spreads)}])
        self._accelerator.log(row, step=done)
        self.report(row)

    def samples(self, done: int, judged: JudgedRollout) -> None:
        """A table of this process's samples, where one is due."""
        asked, trackers = self._table, self._accelerator.trackers
        due = asked is not None and (done % asked.every == 0 or done == 1)
        if asked is not None and due and trackers and self._accelerator.is_main_process:
            log_table(trackers, sample_table(judged, asked.rows), done)

    def evaluation(self, done: int, measured: Metrics) -> None:
        """What a held-out evaluation found; the first process calls it."""
        append_rows(self._folder / "evaluations.jsonl", [{"step": done, **measured}])
        named = {f"held out/{name}": value for name, value in measured.items()}
        self._accelerator.log(named, step=done)
        self.report({"step": done, **named})

    def _rows(self, name: str) -> list[dict[str, float]]:
        path = self._folder / name
        return [row for _, row in read_rows(path)] if path.exists() else []


def forget_after(folder: Path, done: int) -> None:
    """Drop what a killed run measured after the step that it goes on from: those steps will be made again."""
    for name in ("metrics.jsonl", "evaluations.jsonl", GROUPS):
        path = folder / name
        if path.exists():
            rows = [row for _, row in read_rows(path)]
            kept = [row for row in rows if row["step"] <= done]
            cut_torn_line(path)
            if len(kept) < len(rows):
                write_atomically(path, "".join(f"{dump(row)}\n" for row in kept))
    for run in (folder / "evaluations").glob("step-*"):
        step, _, share = run.name.removeprefix("step-").partition(".")
        if share or int(step) > done:
            shutil.rmtree(run)
