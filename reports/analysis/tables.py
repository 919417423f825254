"""The analysis of one run or several, ready for the terminal and for export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gotr1_eval.core.statistics.correlations import kendall
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.statistics.summary import Summary
from gotr1_eval.core.types import Json
from reports.analysis.reward import Again, Analysis, Relation
from reports.documents import Cell, Document, Grid, Record
from reports.origins import footer, origin, run_labels
from reports.run_data import RunData

NOTES = (
    "Intervals are 95 %, over prompts drawn whole. tau is Kendall's tau-b between the order of the samples by the "
    "run's own total and by the other one.",
    "Correlations describe; they do not say what causes what: long chains and large boxes come with certain prompts.",
)


def analysis_document(runs: Sequence[RunData], analyses: Sequence[Analysis], command: str = "") -> Document:
    """The analyses of these runs, in their order."""
    labels = run_labels(runs)
    by_label = dict(zip(labels, analyses, strict=True))
    origins = {label: origin(run, label) for label, run in zip(labels, runs, strict=True)}
    grids = [grid for label, analysis in by_label.items() for grid in _grids(analysis, _head(label, labels))]
    return Document(
        title=f"Reward analysis of {', '.join(labels)}",
        grids=(*grids, *([_order(by_label)] if len(runs) > 1 else [])),
        notes=NOTES,
        footer=footer(list(origins.values()), command),
        records=tuple(
            {**record, **origins[label].columns()}
            for label, analysis in by_label.items()
            for record in _records(label, analysis)
        ),
        json={"runs": {label: analysis.json() for label, analysis in by_label.items()}, "order": _order_json(by_label)},
    )


def _head(label: str, labels: Sequence[str]) -> str:
    return f"{label}: " if len(labels) > 1 else ""


def _grids(analysis: Analysis, head: str) -> Iterable[Grid]:
    means = tuple((Cell(factor), _mean(summary)) for factor, summary in analysis.means.items())
    yield Grid(f"{head}factors", ("factor", "mean"), means)
    if analysis.decided:
        rows = tuple(
            (Cell(row.term), *(_share(count, row.samples) for count in (row.alone, row.tied, row.zero)))
            for row in analysis.decided
        )
        yield Grid(f"{head}what decides {analysis.own}", ("term", "smallest", "tied for smallest", "exactly 0"), rows)
    if analysis.correlations:
        yield Grid(f"{head}factors together", _RELATION, tuple(map(_relation, analysis.correlations)))
    yield _effects(analysis, head)
    if analysis.rules:
        notes = tuple(f"not {rule}: {why}" for rule, why in analysis.impossible.items())
        yield Grid(f"{head}the total under other rules", _AGAIN, tuple(map(_again, analysis.rules)), notes)
    if analysis.without:
        yield Grid(
            f"{head}{analysis.own} without one factor", ("without", *_AGAIN[1:]), tuple(map(_again, analysis.without))
        )


_RELATION = ("pair", "Spearman", "Pearson", "n")
_AGAIN = ("total", "mean", "tau of samples")


def _effects(analysis: Analysis, head: str) -> Grid:
    """Scores down, what plans are like across."""
    traits = list(dict.fromkeys(effect.y for effect in analysis.effects))
    rows: dict[str, list[Cell]] = {}
    for effect in analysis.effects:
        cell = _estimate(effect.spearman)
        rows.setdefault(effect.x, []).append(Cell(cell.text, f"{cell.detail} n={effect.samples}".strip()))
    content = tuple((Cell(factor), *cells) for factor, cells in rows.items())
    return Grid(f"{head}plans and scores (Spearman)", ("score", *traits), content)


def _mean(summary: Summary) -> Cell:
    if summary.mean is None:
        return Cell("no score", _counts(summary))
    interval = "" if summary.low is None else f"[{summary.low:.3f}, {summary.high:.3f}] "
    return Cell(f"{summary.mean:.3f}", interval + _counts(summary))


def _counts(summary: Summary) -> str:
    named = {
        "unscored": summary.unscored,
        "not applicable": summary.not_applicable,
        "missing": summary.missing,
    }
    return ", ".join([f"n={summary.scored}", *(f"{name} {count}" for name, count in named.items() if count)])


def _share(count: int, of: int) -> Cell:
    return Cell(f"{count / of:.0%}" if of else "–", f"{count} of {of}")


def _relation(relation: Relation) -> tuple[Cell, ...]:
    pair = Cell(f"{relation.x}, {relation.y}")
    return (pair, _estimate(relation.spearman), _estimate(relation.pearson), Cell(str(relation.samples)))


def _estimate(estimate: Estimate) -> Cell:
    if estimate.value is None:
        return Cell("–", estimate.why)
    interval = "" if estimate.low is None else f"[{estimate.low:+.2f}, {estimate.high:+.2f}]"
    return Cell(f"{estimate.value:+.2f}", interval)


def _again(row: Again) -> tuple[Cell, ...]:
    tau = Cell("–") if row.tau is None else Cell(f"{row.tau:+.2f}", f"n={row.samples}")
    return (Cell(row.name), _mean(row.summary), tau)


def _order(analyses: Mapping[str, Analysis]) -> Grid:
    """The runs from best to worst by every total that all of them have."""
    content = _orders(analyses)
    rows = tuple(
        (Cell(name), Cell(order), Cell("–" if tau is None else f"{tau:+.2f}")) for name, (order, tau) in content.items()
    )
    note = (
        "tau is Kendall's tau-b between the runs' means by the first total and by this one; means may differ by noise."
    )
    return Grid("the order of the runs", ("total", "best to worst", "tau of runs"), rows, (note,))


def _orders(analyses: Mapping[str, Analysis]) -> dict[str, tuple[str, float | None]]:
    """Name of a total -> (runs from best to worst, tau against the first total)."""
    tables = {label: _means(analysis) for label, analysis in analyses.items()}
    shared = [name for name in next(iter(tables.values())) if all(name in table for table in tables.values())]
    found: dict[str, tuple[str, float | None]] = {}
    for name in shared:
        means = {label: table[name] for label, table in tables.items()}
        found[name] = (_in_order(means), kendall([tables[label][shared[0]] for label in means], list(means.values())))
    return found


def _in_order(means: Mapping[str, float]) -> str:
    by_mean: dict[float, list[str]] = {}
    for label, mean in means.items():
        by_mean.setdefault(mean, []).append(label)
    return " > ".join(" = ".join(by_mean[mean]) for mean in sorted(by_mean, reverse=True))


def _means(analysis: Analysis) -> dict[str, float]:
    rows = [(row.name, row.summary.mean) for row in analysis.rules]
    rows += [(f"{analysis.own} without {row.name}", row.summary.mean) for row in analysis.without]
    return {name: mean for name, mean in rows if mean is not None}


def _order_json(analyses: Mapping[str, Analysis]) -> Json:
    if len(analyses) < 2:
        return None
    return {name: {"order": order, "tau": tau} for name, (order, tau) in _orders(analyses).items()}


def _records(label: str, analysis: Analysis) -> Iterable[Record]:
    """One row a number, in long form."""
    for factor, summary in analysis.means.items():
        yield _record(label, "mean", factor, "", summary.mean, summary.low, summary.high, summary.scored)
    for row in analysis.decided:
        for kind, count in (("smallest", row.alone), ("tied", row.tied), ("zero", row.zero)):
            share = count / row.samples if row.samples else None
            yield _record(label, kind, row.term, analysis.own, share, None, None, row.samples)
    for relation in (*analysis.correlations, *analysis.effects):
        for kind, found in (("spearman", relation.spearman), ("pearson", relation.pearson)):
            numbers = (found.value, found.low, found.high)
            yield _record(label, kind, relation.x, relation.y, *numbers, relation.samples)
    for group, rows in (("rule", analysis.rules), ("without", analysis.without)):
        for again in rows:
            summary = again.summary
            yield _record(
                label, group, again.name, analysis.own, summary.mean, summary.low, summary.high, summary.scored
            )
            yield _record(label, f"{group}, tau", again.name, analysis.own, again.tau, None, None, again.samples)


def _record(run: str, kind: str, x: str, y: str, *numbers: float | None) -> Record:
    return {"run": run, "kind": kind, "x": x, "y": y, **dict(zip(("value", "low", "high", "n"), numbers, strict=True))}
