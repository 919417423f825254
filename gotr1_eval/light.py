"""How light may a judge be? Frontiers of the judges of some runs: agreement with a reference beside the cost.

from gotr1_eval.light import find_frontiers
for found in find_frontiers([Path("runs/a")], reference=["shapes_prompt_image"]).frontiers:
    print(found.factor, [(row.judge, row.agreement.value, row.cost.of("seconds")) for row in found.rows])
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.outcome import Score
from gotr1_eval.planning.judge_costs import CostFile, cascade_parts, judge_cost
from reports.agreement.foreign_tables.mapping import MappingFile, read_mapping_or_none
from reports.agreement.marks import Draws, Unit, base_name
from reports.agreement.rater_agreement import consensus
from reports.frontier.costs import CURRENCIES, Cost
from reports.frontier.frontier import Frontier, frontier
from reports.frontier.judged import FACTORS, Judged, read_judged
from rewards.cascade import ASKED_STRONG

ALL = "all judges"
"""What stands in place of a factor where people's dimension serves none."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What judges are held against.

    Attributes:
        factor: whose judges.
        name: the judge, or people on a dimension.
        dimension: of people; empty of a judge.
    """

    factor: str
    name: str
    dimension: str
    marks: Mapping[Unit, float]


@dataclass(frozen=True, slots=True)
class Frontiers:
    """All frontiers of some sources, and what there is to say beside them."""

    frontiers: Sequence[Frontier]
    notes: Sequence[str]


def find_frontiers(
    paths: Sequence[Path],
    mapping: tuple[MappingFile, Path] | None = None,
    *,
    reference: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    costs: CostFile | None = None,
    by: str | None = None,
    people: Literal["mean", "majority"] = "mean",
    draws: int = 1000,
    seed: int = 0,
) -> Frontiers:
    """The frontier of every factor that has a reference.

    Args:
        paths: runs, a study, tables; as `gotr1-eval agreement` takes them.
        reference: judges that the others of their factor are held against; people where there are marks of theirs.
        groups: judge -> factor, where its name and run do not tell.

    Raises:
        UsageError: a name that nobody bears, or nothing to hold judges against.
    """
    judged = read_judged(paths, *(mapping or read_mapping_or_none(None, None)))
    for name, factor in (groups or {}).items():
        judged.factors[find_judge(judged, name)] = factor
    references = find_references(judged, reference, people)
    known = cost_of_all(judged, costs or CostFile())
    items = dict(judged.sources.judges.items)
    for name, facts in judged.sources.people.items.items():
        items[name] = facts.over(items[name]) if name in items else facts
    drawn = Draws(items, draws, seed)
    free = [name for name in judged.judges if known[name].of("flops") == 0]
    found = [
        frontier(
            one.factor if one.dimension in ("", one.factor) else f"{one.factor}, {one.dimension}",
            [judged.marks(name, one.dimension or name) for name in members(judged, one)],
            one.marks,
            drawn,
            known,
            called=one.name,
            by=by,
            free=free,
        )
        for one in references
    ]
    return Frontiers(found, _notes(judged, references, known))


def find_judge(judged: Judged, name: str) -> str:
    """The one judge of this name, whole or up to its bracket.

    Raises:
        UsageError: none, or several.
    """
    known = judged.judges
    fitting = [name] if name in known else [one for one in known if base_name(one) == name]
    if len(fitting) == 1:
        return fitting[0]
    told = ", ".join(fitting or known) or "none"
    if fitting:
        raise UsageError(f"several judges are called {name!r}: {told}; give the whole name")
    raise UsageError(f"no judge is called {name!r}{nearest_name(name, known)} (there are: {told})")


def find_references(judged: Judged, named: Sequence[str], by: Literal["mean", "majority"]) -> list[Reference]:
    """The judges that are named, each for its factor, and people on every dimension.

    Raises:
        UsageError: there is nothing to hold judges against, or a named judge serves no factor.
    """
    found = []
    for name in named:
        judge = find_judge(judged, name)
        factor = judged.factors.get(judge)
        if factor is None:
            raise UsageError(f"reference {judge}: which factor does it serve? say it with --factor FACTOR={name}")
        found.append(Reference(factor, judge, "", judged.marks(judge).scores))
    people = judged.sources.people
    for dimension, units in people.values.items():
        marks = {unit: mark for unit, said in units.items() if (mark := consensus(said, by)) is not None}
        found.append(Reference(_factor_of(judged, dimension), f"people on {dimension}", dimension, marks))
    if not found:
        names = ", ".join(judged.judges) or "none"
        raise UsageError(
            "nothing to hold judges against: name ratings of people behind the runs, or a judge with --reference "
            f"(there are: {names})"
        )
    return found


def _factor_of(judged: Judged, dimension: str) -> str:
    """The factor whose judges people's dimension is about: of the judge that serves it, or by its own name."""
    serving = judged.sources.people.served_by.get(dimension, dimension)
    known = [factor for factor, (_, names) in FACTORS.items() if serving in names or factor in (serving, dimension)]
    return known[0] if known else ALL


def members(judged: Judged, reference: Reference) -> list[str]:
    """The judges of the reference's factor; all, where people's dimension serves none."""
    return [
        name
        for name in judged.judges
        if reference.factor == ALL or name == reference.name or judged.factors.get(name) == reference.factor
    ]


def cost_of_all(judged: Judged, given: CostFile) -> dict[str, Cost]:
    """Judge -> what one judgment costs; a cascade's from the share of items that its strong judge was asked about."""
    found = {
        name: judge_cost(name, statistics.fmean(told) if (told := judged.seconds.get(name)) else None, given)
        for name in judged.judges
    }
    for name, cost in found.items():
        pair, share = cascade_parts(name, found), asked_share(judged, name)
        if pair is not None and share is not None:
            both = found[pair[0]].with_share(found[pair[1]], share)
            amounts = {
                currency: cost.of(currency) if cost.of(currency) is not None else both.of(currency)
                for currency in both.amounts
            }
            how = {c: cost.how[c] if cost.of(c) is not None else both.how[c] for c in amounts}
            found[name] = Cost(amounts, how)
    return found


def asked_share(judged: Judged, cascade: str) -> float | None:
    """Share of the scored items about which a cascade asked its strong judge; None where no score tells."""
    scores = [one for one in judged.outcomes.get(cascade, {}).values() if isinstance(one, Score)]
    told = [one.parts[ASKED_STRONG] for one in scores if ASKED_STRONG in one.parts]
    return statistics.fmean(told) if told else None


def _notes(judged: Judged, references: Sequence[Reference], costs: Mapping[str, Cost]) -> list[str]:
    """Judges that no frontier shows, and costs that nobody knows."""
    shown = {name for one in references for name in members(judged, one)}
    notes = [
        f"{name}: no reference for {judged.factors[name]}" if name in judged.factors else
        f"{name}: of which factor? say it with --factor FACTOR={name}"
        for name in judged.judges if name not in shown
    ]  # fmt: skip
    for currency in CURRENCIES:
        unknown = [name for name in judged.judges if name in shown and costs[name].of(currency) is None]
        if unknown:
            whose = "all judges" if len(unknown) == len(shown & {*judged.judges}) else ", ".join(unknown)
            notes.append(f"{CURRENCIES[currency]}: unknown of {whose} (state it with --costs)")
    return notes
