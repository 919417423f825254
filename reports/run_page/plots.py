"""The plots of a run: how scores are spread, how factors go together, whether longer chains earn more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.statistics.intervals import prompt_analytic
from gotr1_eval.core.types import Sample
from reports import svg
from reports.run_data import JudgeColumn, RunData
from reports.run_page.sample_ranks import SampleRanks, shared_correlation
from reports.run_page.score_table import bar_axis

Floats = NDArray[np.float64]
BINS = 20
MOST_GROUPS, LEAST_IN_GROUP = 8, 12
"""Groups of chains by length, each with about as many samples and no fewer than these."""
MOST_DOTS = 1500


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing, its caption, and what a reader must know about it.

    Attributes:
        data: what a script needs to draw it otherwise, as JSON values; None where none does.
    """

    caption: str
    note: str
    drawing: str
    data: Mapping[str, Any] | None = None


def distributions(run: RunData, ranked: SampleRanks) -> list[Plot]:
    """A histogram a judge, of those that scored anything."""
    found = []
    for column in run.judges:
        values = ranked.values[column.name]
        values = values[~np.isnan(values)]
        if len(values):
            found.append(Plot(words(column.factor), f"{column.name}, n={len(values)}", _histogram(column, values)))
    return found


def words(factor: str) -> str:
    """A factor's name as prose."""
    return factor.replace("_", " ")


def _histogram(column: JudgeColumn, values: Floats) -> str:
    scale = bar_axis(column.range, [float(values.min()), float(values.max())])
    counts, edges = np.histogram(values, bins=BINS, range=(scale.low, scale.high))
    x, y = svg.Axis(scale.low, scale.high, 36, 316), svg.Axis(0, float(counts.max()), 132, 12)
    bars = [
        svg.tag("rect", x=x(a) + 0.5, y=y(count), width=x(b) - x(a) - 1, height=y(0) - y(count), class_="bar")
        for count, a, b in zip(map(float, counts), map(float, edges), map(float, edges[1:]), strict=False)
        if count
    ]
    mean = float(values.mean())
    marker = svg.tag("path", d=f"M{svg.short(x(mean))} 12V132", class_="whisker")
    name = f"Histogram of {words(column.factor)}: {len(values)} scores, mean {svg.plain(mean)}"
    return svg.picture(330, 152, name, svg.frame(x, y, most=4), *bars, marker)


def correlations(run: RunData, ranked: SampleRanks) -> Plot | None:
    """Spearman's rho of every two judges as a table of tiles; None where no two have any."""
    found = {
        (a.name, b.name): shared_correlation(ranked.values[a.name], ranked.values[b.name])
        for place, a in enumerate(run.judges)
        for b in run.judges[place + 1 :]
    }
    named = {name for pair, (rho, _) in found.items() if rho is not None for name in pair}
    columns = [column for column in run.judges if column.name in named]
    if len(columns) < 2:
        return None
    both = {**found, **{(b, a): value for (a, b), value in found.items()}}
    side, left, top = 62, 128, 32
    parts = []
    for row, a in enumerate(columns):
        y = top + row * side
        parts.append(svg.text(left - 10, y + side / 2 + 4, _cut(words(a.factor)), text_anchor="end"))
        parts += _column_name(words(a.factor), left + row * side + side / 2, top)
        for place, b in enumerate(columns):
            if a is not b:
                parts.append(_tile(left + place * side, y, side - 3, *both[a.name, b.name]))
    size = len(columns) * side
    drawing = svg.picture(left + size, top + size, "Rank correlations between judges", *parts)
    return Plot("Which judges agree", "Spearman's ρ over the samples that both scored; n below it", drawing)


def _tile(x: float, y: float, side: float, rho: float | None, number: int) -> str:
    if rho is None:
        return svg.text(x + side / 2, y + side / 2 + 4, "–", text_anchor="middle")
    kind = "tile" if rho >= 0 else "tile minus"
    return (
        svg.tag("rect", x=x, y=y, width=side, height=side, rx=4, class_=kind, fill_opacity=round(abs(rho) * 0.7, 3))
        + svg.text(x + side / 2, y + side / 2 + 1, svg.minus(f"{rho:+.2f}"), text_anchor="middle", class_="strong")
        + svg.text(x + side / 2, y + side / 2 + 16, f"n={number}", text_anchor="middle", class_="count")
    )


def _column_name(name: str, x: float, bottom: float) -> list[str]:
    """A name over a column of tiles, on two lines where it has two words."""
    first, _, second = name.rpartition(" ")
    lines = [line for line in (first, second) if line]
    return [
        svg.text(x, bottom - 8 - 12 * (len(lines) - 1 - place), _cut(line, 11), text_anchor="middle")
        for place, line in enumerate(lines)
    ]


def _cut(name: str, most: int = 19) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def chain_lengths(run: RunData, ranked: SampleRanks) -> list[Plot]:
    """Score against chain length, a plot a judge; none without chains."""
    samples = list(run.samples.values())
    unit, lengths = _lengths(samples)
    prompts = [sample.id.rpartition("/")[0] for sample in samples]
    plots = []
    for column in run.judges:
        values = ranked.values[column.name]
        both = ~np.isnan(lengths) & ~np.isnan(values)
        if both.sum() < 3 or np.ptp(lengths[both]) == 0:
            continue
        rho, number = shared_correlation(lengths, values)
        note = f"n={number}" if rho is None else f"Spearman's ρ {svg.minus(f'{rho:+.2f}')}, n={number}"
        of = [prompt for prompt, there in zip(prompts, both, strict=True) if there]
        drawing = _against(column, unit, lengths[both], values[both], of)
        plots.append(Plot(words(column.factor), note, drawing))
    return plots


def _lengths(samples: Sequence[Sample]) -> tuple[str, Floats]:
    """(unit, each chain's length; NaN without a chain): tokens where all chains have their count, else words."""
    tokens = [sample.meta.get("chain_tokens") for sample in samples]
    chains = [sample.chain for sample in samples]
    if all(isinstance(count, int) for count, chain in zip(tokens, chains, strict=True) if chain is not None):
        return "tokens", np.array([count if isinstance(count, int) else np.nan for count in tokens], dtype=float)
    counts = [np.nan if chain is None else len(chain.split()) for chain in chains]
    return "words", np.array(counts, dtype=float)


def _against(column: JudgeColumn, unit: str, lengths: Floats, values: Floats, prompts: Sequence[str]) -> str:
    """Dots, and the mean of each group of lengths with its interval over prompts."""
    scale = bar_axis(column.range, [float(values.min()), float(values.max())])
    x = svg.Axis(float(lengths.min()), float(lengths.max()), 36, 316)
    y = svg.Axis(scale.low, scale.high, 132, 12)
    shown = np.linspace(0, len(values) - 1, min(len(values), MOST_DOTS)).astype(int)
    parts = [svg.frame(x, y, f"{unit} of the chain", most=4)]
    parts.append(svg.dots([(x(float(lengths[place])), y(float(values[place]))) for place in shown]))
    middles = []
    groups = min(MOST_GROUPS, len(lengths) // LEAST_IN_GROUP)
    for group in np.array_split(np.argsort(lengths, kind="stable"), groups) if groups > 1 else []:
        by_prompt: dict[str, list[float]] = {}
        for place in group:
            by_prompt.setdefault(prompts[place], []).append(float(values[place]))
        at, mean = x(float(np.median(lengths[group]))), float(values[group].mean())
        low, high = prompt_analytic(list(by_prompt.values()))
        if low is not None and high is not None:
            parts.append(
                svg.tag("path", d=f"M{svg.short(at)} {svg.short(y(low))}V{svg.short(y(high))}", class_="whisker")
            )
        middles.append((at, y(mean)))
    name = f"{words(column.factor)} against the chain's length in {unit}"
    return svg.picture(330, 168, name, *parts, *([svg.line(middles, "line")] if middles else []))
