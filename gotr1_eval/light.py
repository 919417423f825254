"""How light may a judge be? Frontiers of the judges of some runs, and cascades of two of them, with their costs.

from gotr1_eval.light import find_frontiers
for found in find_frontiers([Path("runs/a")], reference=["shapes_prompt_image"]).frontiers:
    print(found.factor, [(row.judge, row.agreement.value, row.cost.of("seconds")) for row in found.rows])
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.types import Json
from gotr1_eval.planning.judge_costs import CostFile, cascade_parts, judge_cost
from reports.agreement.foreign_tables.mapping import MappingFile, read_mapping_or_none
from reports.agreement.marks import Draws, Unit, base_name
from reports.agreement.rater_agreement import consensus
from reports.frontier.cascade import Fitted, Kept, Study, asked_of_run, fit_threshold, make_study, promise, share_of
from reports.frontier.coefficients import usual
from reports.frontier.costs import CURRENCIES, Cost
from reports.frontier.frontier import Frontier, frontier
from reports.frontier.judged import FACTORS, Judged, read_judged
from rewards.cascade import ASKED_STRONG, CascadeJudge
from rewards.light.doubt import Evidence

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted cascade: what `gotr1-eval cascade fit` writes and `check` reads again.

    Attributes:
        cheap, strong, name: the names of both judges and of the cascade.
        specs: the settings of both judges.
        reference: what the agreement is with; the strong judge's name where there is nothing else.
        costs: of the cheap judge, the strong one, and the cascade as promised, each a judgment.
    """

    cheap: str
    strong: str
    name: str
    specs: Mapping[str, Mapping[str, Json]]
    reference: str
    fitted: Fitted
    costs: Mapping[str, Cost]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "format": 1,
            "cheap": self.cheap,
            "strong": self.strong,
            "name": self.name,
            "reference": self.reference,
            "specs": {role: dict(spec) for role, spec in self.specs.items()},
            "costs": {role: cost.json() for role, cost in self.costs.items()},
            **self.fitted.json(),
        }


def fit_cascade(
    paths: Sequence[Path],
    cheap: Mapping[str, Json],
    strong: Mapping[str, Json],
    mapping: tuple[MappingFile, Path] | None = None,
    *,
    judge_model: Mapping[str, Json] | None = None,
    reference: str | None = None,
    evidence: Evidence = "value",
    allowed: float = 0.01,
    by: str | None = None,
    costs: CostFile | None = None,
    people: Literal["mean", "majority"] = "mean",
    draws: int = 1000,
    seed: int = 0,
) -> Fit:
    """Find the threshold of a cascade on runs that both of its judges have judged.

    Args:
        cheap, strong: the settings of both judges, ``{"use": "geometric"}``.
        judge_model: of the judges that ask one and name none.
        reference: a judge or a dimension of people; people where there are some, else the strong judge.
        allowed: how much agreement may be lost against the strong judge alone.

    Raises:
        UsageError: the runs were not judged by both, or there is too little to fit on.
    """
    judged = read_judged(paths, *(mapping or read_mapping_or_none(None, None)))
    live = Builder()
    judges = {
        role: live.judge(live.with_model(spec, judge_model)) for role, spec in (("cheap", cheap), ("strong", strong))
    }
    for role, judge in judges.items():
        if judge.name not in judged.outcomes:
            raise UsageError(
                f"cascade: no run was judged by the {role} judge {judge.name} (there are: {', '.join(judged.judges)}); "
                "judge one with gotr1-eval frontier RUN --judges"
            )
    names = {role: judge.name for role, judge in judges.items()}
    against = _reference_of(judged, names["strong"], reference, people)
    study = _study(judged, names, against, evidence)
    by = by or usual(study.reference)
    fitted = fit_threshold(study, evidence=evidence, by=by, allowed=allowed, draws=draws, seed=seed)
    cascade = CascadeJudge(judges["cheap"], judges["strong"], fitted.threshold, evidence)
    known = cost_of_all(judged, costs or CostFile())
    each = {role: known[name] for role, name in names.items()}
    promised = each["cheap"].with_share(each["strong"], fitted.share.value or 0.0)
    return Fit(
        cheap=names["cheap"],
        strong=names["strong"],
        name=cascade.name,
        specs={"cheap": cheap, "strong": strong},
        reference=against.name,
        fitted=fitted,
        costs={**each, "cascade": promised},
    )


def _study(judged: Judged, names: Mapping[str, str], against: Reference, evidence: Evidence) -> Study:
    strong = judged.marks(names["strong"], against.dimension or names["strong"]).scores
    return make_study(
        judged.outcomes[names["cheap"]],
        strong,
        against.marks,
        {unit: judged.prompt(unit) for unit in against.marks},
        evidence=evidence,
        ends=judged.ranges[names["cheap"]],
    )


def _reference_of(judged: Judged, strong: str, named: str | None, people: Literal["mean", "majority"]) -> Reference:
    """A dimension or a judge by name; else the only dimension of people that is about such judges; else the strong one.

    Raises:
        UsageError: several dimensions would do.
    """
    if named is not None and named not in judged.sources.people.values:
        judge = find_judge(judged, named)
        return Reference(judged.factors.get(judge, ALL), judge, "", judged.marks(judge).scores)
    found = find_references(judged, (), people) if judged.sources.people.values else []
    factor = judged.factors.get(strong)
    fitting = [one for one in found if named in (one.dimension, None) and (named or one.factor in (factor, ALL))]
    if len(fitting) > 1:
        names = ", ".join(one.dimension for one in fitting)
        raise UsageError(f"cascade: people marked several dimensions ({names}); name one with --reference")
    return fitting[0] if fitting else Reference(factor or ALL, strong, "", judged.marks(strong).scores)


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a promise on other runs.

    Attributes:
        ran: whether the cascade itself judged them; otherwise it was computed from both judges' scores.
        loss: None where the strong judge or the reference does not know the items.
    """

    ran: bool
    items: int
    share: Kept
    loss: Kept | None
    cascade: Estimate | None

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "ran": self.ran,
            "items": self.items,
            "share": self.share.json(),
            "loss": None if self.loss is None else self.loss.json(),
            "cascade": None if self.cascade is None else self.cascade.json(),
        }


def check_cascade(
    fit: Mapping[str, Any],
    paths: Sequence[Path],
    mapping: tuple[MappingFile, Path] | None = None,
    *,
    reference: str | None = None,
    people: Literal["mean", "majority"] = "mean",
    draws: int = 1000,
    seed: int = 0,
) -> Checked:
    """Hold a cascade's promise against runs that it, or both of its judges, have judged since.

    Args:
        fit: what `Fit.json` gave.

    Raises:
        UsageError: the runs know neither the cascade nor both judges.
    """
    judged = read_judged(paths, *(mapping or read_mapping_or_none(None, None)))
    names = {"cheap": str(fit["cheap"]), "strong": str(fit["strong"])}
    own = asked_of_run(judged.outcomes.get(str(fit["name"]), {}))
    both = all(name in judged.outcomes for name in names.values())
    if not own and not both:
        raise UsageError(
            f"cascade check: expected a run judged by {fit['name']}, or by both of its judges, got "
            f"{', '.join(judged.judges) or 'none'}"
        )
    told = {name: Estimate(**{"why": "", **fit[name]}) for name in ("share", "loss")}
    if not both:
        prompts = [judged.prompt(Unit(item)) for item in own]
        share = share_of(prompts, np.array(list(own.values())), draws, seed)
        return Checked(True, len(own), Kept(told["share"], share), None, None)
    against = _reference_of(judged, names["strong"], reference or _known(judged, str(fit["reference"])), people)
    study = _study(judged, names, against, fit["evidence"])
    made, passed = study.scores(fit["threshold"]), study.passed(fit["threshold"]).astype(np.float64)
    found = promise(study, made, passed, str(fit["coefficient"]), draws, seed)
    return Checked(
        bool(own), len(study.prompts), Kept(told["share"], found.share), Kept(told["loss"], found.loss), found.cascade
    )


def _known(judged: Judged, name: str) -> str | None:
    """The reference of the fit where it is here, too."""
    dimension = name.removeprefix("people on ")
    if dimension in judged.sources.people.values:
        return dimension
    return name if name in judged.judges else None
