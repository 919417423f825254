"""Cascades of two judges: the threshold fitted on runs that both have judged, and the promise held against others.

from gotr1_eval.cascading import fit_cascade
made = fit_cascade([Path("runs/a")], {"use": "geometric"}, {"use": "spatial"}, judge_model={"use": "qwen", ...})
print(made.fitted.threshold, made.fitted.share, made.fitted.loss)
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.types import Json
from gotr1_eval.light import ALL, Reference, cost_of_all, find_judge, find_references
from gotr1_eval.planning.judge_costs import CostFile
from reports.agreement.foreign_tables.mapping import MappingFile, read_mapping_or_none
from reports.agreement.marks import Unit
from reports.frontier.cascade import Fitted, Kept, asked_of_run, fit_threshold, promise, share_of
from reports.frontier.cascade_study import Study, make_study
from reports.frontier.coefficients import usual
from reports.frontier.costs import Cost
from reports.frontier.judged import Judged, read_judged
from rewards.cascade import CascadeJudge
from rewards.light.doubt import Evidence

FORMAT = 1
"""Of the file that holds a promise."""


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
            "format": FORMAT,
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
        costs: currency -> (promised, found) of a judgment: seconds as the cascade was measured where it ran, everything
            else by the costs of both judges at the share that was found.
    """

    ran: bool
    items: int
    share: Kept
    loss: Kept | None
    cascade: Estimate | None
    costs: Mapping[str, tuple[float, float]]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "ran": self.ran,
            "items": self.items,
            "share": self.share.json(),
            "loss": None if self.loss is None else self.loss.json(),
            "cascade": None if self.cascade is None else self.cascade.json(),
            "costs": {name: {"told": told, "found": found} for name, (told, found) in self.costs.items()},
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
    found, items = None, len(own)
    if both:
        against = _reference_of(judged, names["strong"], reference or _known(judged, str(fit["reference"])), people)
        study = _study(judged, names, against, fit["evidence"])
        made, passed = study.scores(fit["threshold"]), study.passed(fit["threshold"]).astype(np.float64)
        items = items or len(study.prompts)
        found = promise(study, made, passed, str(fit["coefficient"]), draws, seed)
    prompts = [judged.prompt(Unit(item)) for item in own]
    share = share_of(prompts, np.array(list(own.values())), draws, seed) if own or found is None else found.share
    return Checked(
        ran=bool(own),
        items=items,
        share=Kept(told["share"], share),
        loss=None if found is None else Kept(told["loss"], found.loss),
        cascade=None if found is None else found.cascade,
        costs=_found_costs(fit["costs"], share.value or 0.0, judged.seconds.get(str(fit["name"]))),
    )


def _found_costs(
    told: Mapping[str, Mapping[str, Mapping[str, Any]]], share: float, seconds: Sequence[float] | None
) -> dict[str, tuple[float, float]]:
    """Currency -> (promised, found), of the currencies in which a promise was made."""
    amounts = {role: {name: one["amount"] for name, one in costs.items()} for role, costs in told.items()}
    at_share = Cost(amounts["cheap"]).with_share(Cost(amounts["strong"]), share).amounts
    measured = {"seconds": statistics.fmean(seconds)} if seconds else {}
    found = {**at_share, **measured}
    return {
        name: (promised, now)
        for name, promised in amounts["cascade"].items()
        if promised is not None and (now := found.get(name)) is not None
    }


def _known(judged: Judged, name: str) -> str | None:
    """The reference of the fit where it is here, too."""
    dimension = name.removeprefix("people on ")
    if dimension in judged.sources.people.values:
        return dimension
    return name if name in judged.judges else None
