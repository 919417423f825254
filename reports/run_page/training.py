"""The page of a training run: its curves, and its held-out evaluations as a table."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from gotr1_eval.core.errors import DataError
from gotr1_eval.files.jsonl import read_rows
from gotr1_eval.files.writing import write_atomically
from reports import shell, svg
from reports.diversity import READING as DIVERSITY
from reports.diversity import Measure, run_diversity
from reports.run_data import load_run
from reports.run_page.plots import Plot
from reports.run_page.retest_noise import RetestNoise, retest_noise

SETTINGS = "training.json"
METRICS, EVALUATIONS, GROUPS = "metrics.jsonl", "evaluations.jsonl", "groups.jsonl"
ENDS = 10
"""Steps at the beginning and at the end whose means are set against each other where nothing was held out."""
SHOWN: dict[str, tuple[str, str]] = {
    "Unscored": ("reward/", "/unscored"),
    "Watched, never trained on": ("watched/", "/mean"),
    "Groups of a step": ("groups/", ""),
    "Diversity within a group": ("diversity/", ""),
    "Diversity left of the first steps'": ("diversity_left/", ""),
    "Entropy": ("", "/entropy"),
    "KL to the first policy": ("", "/kl"),
    "Clipped": ("", "/clipped"),
    "At an end of its map, share of samples": ("maps/", ""),
    "Supervised loss": ("", "/loss"),
}
"""Caption -> beginning and end of the metrics that share a plot."""
SINGLE = {
    "within_groups/spread": "Spread of the reward within a group",
    "within_groups/ties": "Ties within a group, share of pairs",
    "chain/tokens": "Chain length, tokens",
    "plan/area": "Area of a planned box",
    "grad_norm": "Gradient norm",
}


Direction = Literal["up", "down", "not apart", "empty"]


@dataclass(frozen=True, slots=True)
class Movement:
    """How a factor moved from the first to the last measurement.

    Attributes:
        trained: the reward is made of it; otherwise it is only watched.
        first, last: None in an empty column.
        direction: up or down where the two intervals do not meet, or the last mean where there is no interval lies
            beyond the first; else not apart.
    """

    factor: str
    trained: bool
    first: HeldOut | None
    last: HeldOut | None

    @property
    def direction(self) -> Direction:
        """See the class."""
        if self.first is None or self.last is None:
            return "empty"
        if _top(self.first) < _bottom(self.last):
            return "up"
        return "down" if _top(self.last) < _bottom(self.first) else "not apart"


def _top(dot: HeldOut) -> float:
    return dot.mean if dot.high is None else dot.high


def _bottom(dot: HeldOut) -> float:
    return dot.mean if dot.low is None else dot.low


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row of the table: the means after so many steps, by factor."""

    step: int
    cells: dict[str, HeldOut]


def is_training(folder: Path) -> bool:
    """Whether the folder holds a training run and not a benchmark's."""
    return (folder / SETTINGS).exists() and not (folder / "run.json").exists()


def write_training_page(folder: Path) -> Path:
    """Write report.html into the folder of a training run, and return where it is; raises as `render_training_page`."""
    path = folder / "report.html"
    write_atomically(path, render_training_page(folder))
    return path


def render_training_page(folder: Path) -> str:
    """The page of a training run.

    Raises:
        DataError: its settings or metrics cannot be read, or no step is done yet.
    """
    if not (folder / METRICS).exists():
        raise DataError("no step is done yet, so there is nothing to show", path=folder / METRICS)
    by_factor = held_out_means(folder)
    steps = sorted({int(dot.step) for dots in by_factor.values() for dot in dots})
    rows = [
        Evaluation(step, {factor: dot for factor, dots in by_factor.items() for dot in dots if dot.step == step})
        for step in steps
    ]
    settings = _settings(folder / SETTINGS)
    return shell.render(
        "training.html",
        styles=["run.css"],
        scripts=["curves.js"],
        title=folder.absolute().name,
        settings=settings,
        curves=training_curves(folder),
        factors=sorted(by_factor, key=lambda factor: factor != "total"),
        evaluations=rows,
        movements=movements(folder),
        noise=retest_noise(folder / "evaluations"),
        ends=ENDS,
        diversity=evaluation_diversity(folder),
        diversity_reading=DIVERSITY,
        shapes=settings.get("ckpt") == "tiny-janus",
    )


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"expected the settings of a training run as JSON, got something else ({error})", path=path
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"expected a JSON object, got {type(found).__name__}", path=path)
    return found


def movements(folder: Path) -> list[Movement]:
    """Every factor from the first to the last held-out evaluation, what is trained on before what is only watched.

    Where there are not two evaluations, the means over the first and the last `ENDS` steps' training prompts, without
    intervals.
    """
    rows, held_out = _read(folder / METRICS), _read(folder / EVALUATIONS)
    names = dict.fromkeys(name for row in rows for name in row)
    factors = {
        name.split("/")[1]: name.startswith("reward/")
        for name in names
        if name.startswith(("reward/", "watched/")) and name.endswith("/unscored")
    }
    dots = held_out_means(folder)
    found = []
    for factor, trained in factors.items():
        role = "reward" if trained else "watched"
        line = dots.get(factor, []) if len(held_out) > 1 else _ends(rows, f"{role}/{factor}")
        first, last = (line[0], line[-1]) if len(line) > 1 else (None, None)
        found.append(Movement(factor, trained, first, last))
    return sorted(found, key=lambda each: (not each.trained, each.factor != "total"))


def evaluation_diversity(folder: Path) -> dict[str, list[Measure]]:
    """How different the samples of a held-out prompt are at the first and at the last evaluation, by what it is called;
    empty where there is none. One sample a prompt leaves it undefined."""
    runs = sorted(run for run in (folder / "evaluations").glob("step-*") if (run / "run.json").exists())
    ends = {f"step {int(run.name.removeprefix('step-'))}": run for run in (*runs[:1], *runs[1:][-1:])}
    return {name: found for name, run in ends.items() if (found := run_diversity(load_run(run)))}


def _ends(rows: Sequence[Mapping[str, Any]], name: str) -> list[HeldOut]:
    """The mean over the first steps and over the last ones; none where too few steps are done."""
    points = _points(rows, f"{name}/mean")
    if len(points) < 2 * ENDS:
        return []
    return [
        HeldOut(part[-1][0], statistics.fmean(value for _, value in part), None, None)
        for part in (points[:ENDS], points[-ENDS:])
    ]


def groups_below_noise(folder: Path, noise: RetestNoise | None) -> list[tuple[float, float]]:
    """(step, share of its groups whose rewards are spread by less than the noise); none where it is not known."""
    if noise is None:
        return []
    rows = [row for row in _read(folder / GROUPS) if row["spreads"]]
    return [
        (float(row["step"]), sum(spread < noise.deviation for spread in row["spreads"]) / len(row["spreads"]))
        for row in rows
    ]


Series = Mapping[str, Sequence[tuple[float, float]]]
"""What a line is called -> its (step, value) points."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One factor on held-out prompts after so many steps, with its interval over prompts where there is one."""

    step: float
    mean: float
    low: float | None
    high: float | None


def training_folder(run: Path) -> Path | None:
    """The folder of the training run that this run is a held-out evaluation of; None where there is none."""
    folder = run.absolute().parent.parent
    return folder if run.absolute().parent.name == "evaluations" and (folder / METRICS).exists() else None


def training_curves(folder: Path) -> list[Plot]:
    """The curves of a training run, the rewards first."""
    rows = _read(folder / METRICS)
    held_out = held_out_means(folder)
    names = dict.fromkeys(name for row in rows for name in row)
    rewards = [name.split("/")[1] for name in names if name.startswith("reward/") and name.endswith("/mean")]
    plots = [
        _plot(f"Reward: {factor.replace('_', ' ')}", {"training": _points(rows, f"reward/{factor}/mean")},
              held_out.get(factor, ()))
        for factor in sorted(rewards, key=lambda factor: factor != "total")
    ]  # fmt: skip
    for caption, (start, end) in SHOWN.items():
        chosen = [name for name in names if name.startswith(start) and name.endswith(end)]
        series = {name.removeprefix(start).removesuffix(end) or name: _points(rows, name) for name in chosen}
        plots += [_plot(caption, series)] if series else []
    plots += [_plot(caption, {caption: _points(rows, name)}) for name, caption in SINGLE.items() if name in names]
    if shares := groups_below_noise(folder, retest_noise(folder / "evaluations")):
        caption = "Groups decided by less than the judges' noise, share"
        plots.append(_plot(caption, {caption: shares}))
    return plots


def _read(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)] if path.exists() else []


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(float(row["step"]), float(row[name])) for row in rows if name in row]


def held_out_means(folder: Path) -> dict[str, list[HeldOut]]:
    """Factor -> its held-out means, step by step; empty where the run was never evaluated."""
    found: dict[str, list[HeldOut]] = {}
    for row in _read(folder / EVALUATIONS):
        for name in row:
            factor, _, what = name.partition("/")
            if what == "mean":
                interval = (row.get(f"{factor}/low"), row.get(f"{factor}/high"))
                found.setdefault(factor, []).append(HeldOut(float(row["step"]), float(row[name]), *interval))
    return found


def _plot(caption: str, series: Series, held_out: Sequence[HeldOut] = ()) -> Plot:
    """Lines over steps; held-out means as dots with whiskers."""
    points = [point for line in series.values() for point in line]
    heights = [value for _, value in points]
    heights += [value for dot in held_out for value in (dot.mean, dot.low, dot.high) if value is not None]
    steps = [step for step, _ in points] + [dot.step for dot in held_out]
    low, high = min(heights), max(heights)
    x = svg.Axis(min(steps), max(*steps, min(steps) + 1), 46, 316)
    legend, lines = _legend([*series]) if len(series) > 1 else ("", 0)
    top = 12 + 15 * lines
    y = svg.Axis(min(low, 0.0), high if high > min(low, 0.0) else 1.0, top + 120, top)
    parts = [legend, svg.frame(x, y, "step", most=4)]
    for place, line in enumerate(series.values()):
        drawn = [(x(step), y(value)) for step, value in thinned(line)]
        parts.append(svg.line(drawn, f"line s{place % 6}"))
    parts += [_dot(x, y, dot) for dot in held_out]
    last = "; ".join(f"{name} ends at {svg.plain(line[-1][1])}" for name, line in series.items() if line)
    note = "line: training prompts; dots: held-out prompts" if held_out else ""
    data = {
        "x": [x.low, x.high, x.start, x.end],
        "y": [y.low, y.high, y.start, y.end],
        "ticks": y.ticks(4),
        "lines": [
            [name.replace("_", " "), [point for point in thinned(line) if all(map(math.isfinite, point))]]
            for name, line in series.items()
        ],
        "dots": [[dot.step, dot.mean, dot.low, dot.high] for dot in held_out if math.isfinite(dot.mean)],
    }
    return Plot(caption, note, svg.picture(330, top + 156, f"{caption}: {last}", *parts), data)


def _legend(names: Sequence[str]) -> tuple[str, int]:
    """(the names in their lines' colours, side by side; how many lines of text that takes)."""
    parts, x, line = [], 46.0, 0
    for place, name in enumerate(names):
        # SVG does not flow text; a letter of this size is about six pixels wide.
        width = 6.2 * len(name) + 12
        if x > 46 and x + width > 330:
            x, line = 46.0, line + 1
        parts.append(svg.text(x, 10 + 15 * line, name.replace("_", " "), class_=f"s{place % 6}"))
        x += width
    return "".join(parts), line + 1


def _dot(x: svg.Axis, y: svg.Axis, dot: HeldOut) -> str:
    at = svg.short(x(dot.step))
    whisker = ""
    if dot.low is not None and dot.high is not None:
        whisker = svg.tag("path", d=f"M{at} {svg.short(y(dot.low))}V{svg.short(y(dot.high))}", class_="whisker")
    return whisker + svg.tag("circle", cx=x(dot.step), cy=y(dot.mean), r=4, class_="mark")


def thinned(line: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """At most so many points: means of equal stretches of a longer line."""
    if len(line) <= most:
        return list(line)
    edges = [round(place * len(line) / most) for place in range(most + 1)]
    stretches = [line[start:end] for start, end in pairwise(edges)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in stretches]
