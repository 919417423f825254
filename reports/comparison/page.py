"""Comparisons as one HTML page: verdicts first, then the prompts that moved, with their pictures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError, picture_name
from gotr1_eval.files.writing import write_atomically
from reports import shell, svg
from reports.comparison.difference import Difference
from reports.comparison.paired import Comparison, JudgeComparison, Moved
from reports.comparison.tables import could_be_found, counts, sentence, warnings
from reports.origins import footer, origin, run_labels
from reports.run_data import RunData
from reports.thumbnails import SmallPicture, shrink

MOST_BYTES = 25_000
"""Of one picture: three comparisons of six judges hold at most 360 of them, and stay under 15 MB."""
PLOT = (240.0, 22.0)
BAR = (110.0, 12.0)


@dataclass(frozen=True, slots=True)
class Side:
    """One run's picture and chain of a sample; `fault` says why there is no picture."""

    label: str
    value: float
    picture: SmallPicture | None
    fault: str
    chain: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt that moved, seen in both runs."""

    moved: Moved
    sides: tuple[Side, Side]


def write_page(runs: Sequence[RunData], comparisons: Sequence[Comparison], path: Path, command: str = "") -> None:
    """Write the page of comparisons.

    Args:
        runs: the first run, then those it was compared with, in the order of the comparisons.
    """
    write_atomically(path, render_page(runs, comparisons, command))


def render_page(runs: Sequence[RunData], comparisons: Sequence[Comparison], command: str = "") -> str:
    """The page's HTML; whatever the runs hold appears as text."""
    first, *others = runs
    pictures = _Pictures()
    origins = [origin(run, label) for run, label in zip(runs, run_labels(runs), strict=True)]
    return shell.render(
        "compare.html",
        styles=("compare.css",),
        title=" against ".join([", ".join(c.b for c in comparisons), comparisons[0].a]),
        sections=[
            {
                "comparison": comparison,
                "judges": [_judge(comparison, judge, (first, other), pictures) for judge in comparison.judges],
            }
            for comparison, other in zip(comparisons, others, strict=True)
        ],
        footer=footer(origins, command),
    )


def _judge(
    comparison: Comparison, judge: JudgeComparison, runs: tuple[RunData, RunData], pictures: _Pictures
) -> dict[str, object]:
    axis = _axis(judge.rows.values())
    return {
        "name": judge.judge,
        "warnings": warnings(comparison, judge),
        "rows": [
            {
                "category": category,
                "row": row,
                "sentence": sentence(category, row),
                "counts": counts(row),
                "found": could_be_found(row),
                "plot": _plot(category, row, axis),
                "bar": _bar(category, row),
            }
            for category, row in judge.rows.items()
        ],
        "risen": [_pair(comparison, moved, runs, pictures) for moved in judge.risen],
        "fallen": [_pair(comparison, moved, runs, pictures) for moved in judge.fallen],
    }


def _axis(rows: Iterable[Difference]) -> svg.Axis:
    """One scale for all categories, zero in the middle."""
    ends = [abs(end) for row in rows for end in (row.mean, row.low, row.high) if end is not None]
    reach = max(ends, default=0.0) or 1.0
    return svg.Axis(-reach, reach, 6.0, PLOT[0] - 6.0)


def _plot(category: str, row: Difference, axis: svg.Axis) -> str:
    width, height = PLOT
    middle = height / 2
    zero = svg.tag("line", x1=axis(0), x2=axis(0), y1=0.0, y2=height, class_="zero")
    if row.mean is None:
        return svg.picture(width, height, f"{category}: no difference can be given", zero)
    drawn = "" if row.low is None or row.high is None else svg.whisker(axis, middle, row.low, row.high)
    dot = svg.tag("circle", cx=axis(row.mean), cy=middle, r=4.5, class_=f"verdict {row.verdict.replace(' ', '-')}")
    return svg.picture(width, height, f"{category}: difference and its interval", zero, drawn, dot)


def _bar(category: str, row: Difference) -> str:
    """Pairs won, tied and lost, as shares of a bar."""
    width, height = BAR
    parts, start = [], 0.0
    for count, kind in ((row.wins, "won"), (row.ties, "tied"), (row.losses, "lost")):
        share = width * count / row.pairs if row.pairs else 0.0
        parts.append(svg.tag("rect", x=start, y=0.0, width=share, height=height, class_=kind))
        start += share
    return svg.picture(width, height, f"{category}: {counts(row)}", *parts)


def _pair(comparison: Comparison, moved: Moved, runs: tuple[RunData, RunData], pictures: _Pictures) -> Pair:
    one, two = (run.samples[moved.sample] for run in runs)
    return Pair(
        moved,
        (
            Side(comparison.a, moved.a, *pictures.of(one), one.chain),
            Side(comparison.b, moved.b, *pictures.of(two), two.chain),
        ),
    )


class _Pictures:
    """Every picture is opened and shrunk once, whoever shows it."""

    def __init__(self) -> None:
        self._made: dict[Path, tuple[SmallPicture | None, str]] = {}

    def of(self, sample: Sample) -> tuple[SmallPicture | None, str]:
        """The picture, or why there is none."""
        if not isinstance(sample.image, Path):
            return None, "no picture"
        if sample.image not in self._made:
            self._made[sample.image] = _shrunk(sample.image)
        return self._made[sample.image]


def _shrunk(path: Path) -> tuple[SmallPicture | None, str]:
    try:
        return shrink(path, MOST_BYTES), ""
    except PictureError as error:
        return None, f"{picture_name(path)}: {error}"
