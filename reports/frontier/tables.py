"""Frontiers as tables and as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from reports.agreement.grids import Cell, Grid, estimate_cell
from reports.frontier.costs import CURRENCIES, Cost
from reports.frontier.frontier import Dominator, Frontier, FrontierRow

_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(value: float | None) -> str:
    """Three digits and a unit; a dash where unknown."""
    if value is None:
        return "unknown"
    size, unit = next(((size, unit) for size, unit in _UNITS if value >= size), (1.0, ""))
    return f"{value / size:.3g}{unit and ' '}{unit}"


def frontier_grid(found: Frontier) -> Grid:
    """The judges from the cheapest on; a currency that nobody knows, or that none of them takes, has no column."""
    shown = [name for name in CURRENCIES if any(row.cost.of(name) for row in found.rows)]
    rows = [
        [
            Cell(str(place), ()),
            Cell(row.judge, ("the reference itself",) if row.is_reference else ()),
            estimate_cell(row.agreement) if not row.is_reference else Cell("1", ("by definition",)),
            Cell(f"{row.n} of {found.items}", _left_out(row)),
            *(Cell(amount(row.cost.of(name)), _how(row.cost, name)) for name in shown),
            _dominated_in(row),
        ]
        for place, row in enumerate(in_order(found), 1)
    ]
    header = ["no.", "judge", f"agreement ({found.by.replace('_', ' ')})", "items scored"]
    header += [CURRENCIES[name].removesuffix(" a judgment") for name in shown] + ["dominated in"]
    return Grid(
        title=f"{found.factor}, against {found.reference}",
        lead="Costs are of one judgment. Dominated: another judge costs no more, agrees no less on common items and "
        "scores no fewer.",
        names=2,
        header=header,
        rows=rows,
    )


def _dominated_in(row: FrontierRow) -> Cell:
    by_whom = tuple(dict.fromkeys(map(dominated, row.dominated.values())))
    return Cell("" if row.is_reference else ", ".join(map(_short, row.dominated)) or "nowhere", by_whom)


def _short(currency: str) -> str:
    return CURRENCIES[currency].partition(" ")[0]


def in_order(found: Frontier) -> list[FrontierRow]:
    """From the cheapest on in the first currency in which the judges differ; those of unknown cost last."""
    first = next(iter(found.currencies), "seconds")
    costs = {row.judge: row.cost.of(first) for row in found.rows}
    return sorted(found.rows, key=lambda row: (costs[row.judge] is None, costs[row.judge] or 0.0))


def dominated(by: Dominator) -> str:
    """By whom, and how sure that is."""
    gain = f"{by.gain.value:+.3f}" if by.gain.value is not None else "undefined"
    ends = "" if by.gain.low is None or by.gain.high is None else f" [{by.gain.low:+.3f}, {by.gain.high:+.3f}]"
    return f"by {by.judge}: {gain}{ends}{'' if by.certain else ', within noise'}"


def without_model_line(found: Frontier) -> str:
    """The share of prompts that need no model, as a sentence."""
    free = found.without_model
    if free.share.value is None:
        return f"{found.factor}: {free.share.why}"
    ends = "" if free.share.low is None else f" [{free.share.low:.1%}, {free.share.high:.1%}]"
    who = " or ".join(free.judges)
    return (
        f"{found.factor}: {free.decided} of {free.prompts} prompts ({free.share.value:.1%}{ends}) need no model: "
        f"{who} scores all of their items"
    )


def _left_out(row: FrontierRow) -> tuple[str, ...]:
    counts = ((row.unscored, "unscored"), (row.not_applicable, "not applicable"), (row.not_asked, "not asked"))
    return tuple(f"{count} {what}" for count, what in counts if count)


def _how(cost: Cost, currency: str) -> tuple[str, ...]:
    told = cost.how.get(currency, "unknown")
    return () if told == "unknown" else (told,)


def frontier_lines(found: Sequence[Frontier]) -> list[str]:
    """What stands below the tables: prompts without a model, and every dominated judge by name."""
    lines = [without_model_line(one) for one in found]
    for one in found:
        for row in one.rows:
            for currency, by in row.dominated.items():
                lines.append(f"{one.factor}, {_short(currency)}: {row.judge} is dominated {dominated(by)}")
    return lines
