"""What a calibration is fitted on and used for: a judge's scores beside people's marks, and judgments in a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Json
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunInfo, RunStore, read_info
from reports.agreement.analysis import judges_of
from reports.agreement.calibration import CALIBRATED, Calibration, Pairs
from reports.agreement.judge_agreement import JudgeMarks
from reports.agreement.mark_sources import Sources
from reports.agreement.marks import base_name
from reports.agreement.rater_agreement import consensus
from reports.run_data import JudgeColumn, load_run


def apply_to_run(calibration: Calibration, folder: Path) -> int:
    """Add the calibrated judge to a run's judges; what the judge left unscored stays so. Applied again, it replaces.

    Returns:
        How many samples got a calibrated score.

    Raises:
        UsageError: the run has no such judge.
    """
    run = load_run(folder)
    column = next((column for column in run.judges if column.name == calibration.judge), None)
    if column is None:
        names = ", ".join(column.name for column in run.judges) or "none"
        raise UsageError(f"calibrate apply: {folder} has no judge {calibration.judge!r} (it has: {names})")
    printed = fingerprint({"judge": column.fingerprint, "map": _facts(calibration)})
    judgments = [
        Judgment(
            sample=sample,
            judge=calibration.judge_name,
            fingerprint=printed,
            outcome=_calibrated(calibration, outcome),
        )
        for sample, outcome in run.outcomes[calibration.judge].items()
    ]
    with RunStore.open(folder, _with_judge(read_info(folder), calibration, column, printed)) as store:
        store.append_judgments(judgments)
    return sum(isinstance(judgment.outcome, Score) for judgment in judgments)


def _facts(calibration: Calibration) -> dict[str, Json]:
    return {"scores": list(calibration.scores), "marks": list(calibration.marks)}


def _calibrated(calibration: Calibration, outcome: Outcome) -> Outcome:
    if not isinstance(outcome, Score):
        return replace(outcome, replies=())
    value = float(calibration(np.array([outcome.value]))[0])
    return Score(value=value, note=f"{calibration.name}: calibrated from {outcome.value:.6g}")


def _with_judge(info: RunInfo, calibration: Calibration, column: JudgeColumn, printed: str) -> RunInfo:
    """The run's description with the judge in it; its entry keeps the whole map and what it was fitted on."""
    listed = info.setup["judges"]
    assert isinstance(listed, list)
    name = calibration.judge_name
    entry: dict[str, Json] = {
        "factor": f"{column.factor}+{calibration.name}",
        "name": name,
        "fingerprint": printed,
        "range": [calibration.marks[0], calibration.marks[-1]],
        "calibration": {**asdict(calibration)},
    }
    others = [judge for judge in listed if not (isinstance(judge, dict) and judge.get("name") == name)]
    return RunInfo(identity=info.identity, setup={**info.setup, "judges": [*others, entry]})


@dataclass(frozen=True, slots=True)
class Paired:
    """A judge and people on one dimension.

    Attributes:
        pairs: the items that both marked.
        population: the judge's scores of all items.
        lost: rated items without a score.
        left_out: items that a calibration was fitted on and that are no longer among the pairs.
    """

    judge: str
    dimension: str
    pairs: Pairs
    population: np.ndarray
    lost: int
    left_out: int = 0


def pair(sources: Sources, judge: str | None, dimension: str | None, by: str) -> Paired:
    """The judge and the dimension of these names; either may be left out where there is one only.

    Raises:
        UsageError: there is no such judge or dimension, or several would do.
    """
    people = sources.people
    dimension = _chosen("dimension", dimension, list(people.values))
    judges = {one.name: one for one in judges_of(sources.judges, dimension, people.served_by)}
    serving = [name for name in judges if base_name(name) == people.served_by.get(dimension) and CALIBRATED not in name]
    if judge is None and len(serving) == 1:
        judge = serving[0]
    found = judges[_chosen("judge", judge, list(judges))]
    if CALIBRATED in found.name:
        raise UsageError(f"calibrate: {found.name} is calibrated; name the judge itself, and the file by --calibration")
    agreed = {unit: consensus(said, by) for unit, said in people.values[dimension].items()}
    units = [unit for unit, mark in agreed.items() if mark is not None and unit in found.scores]
    facts = [people.items[unit.item].over(sources.judges.items[unit.item]) for unit in units]
    each = len(found.scores) / max(len(units), 1)
    pairs = Pairs(
        items=[unit.item for unit in units],
        prompts=[fact.prompt or unit.item for fact, unit in zip(facts, units, strict=True)],
        scores=np.array([found.scores[unit] for unit in units], dtype=float),
        marks=np.array([agreed[unit] for unit in units], dtype=float),
        # Without a design every rated item stands for the same number of samples.
        weights=np.array([fact.weight or each for fact in facts], dtype=float),
        strata=[fact.stratum or "all" for fact in facts],
    )
    return Paired(found.name, dimension, pairs, _population(found), len(agreed) - len(units))


def calibrated(paired: Paired, calibration: Calibration) -> Paired:
    """All scores on people's scale, and the pairs without those items that the calibration was fitted on.

    Raises:
        UsageError: it was fitted for another judge or dimension.
    """
    for kind, fitted, asked in (
        ("judge", calibration.judge, paired.judge),
        ("dimension", calibration.dimension, paired.dimension),
    ):
        if fitted != asked:
            raise UsageError(f"--calibration {calibration.name}: fitted for {kind} {fitted!r}, asked for {asked!r}")
    seen = set(calibration.items)
    rest = paired.pairs.where([item not in seen for item in paired.pairs.items])
    return replace(
        paired,
        pairs=replace(rest, scores=calibration(rest.scores)),
        population=calibration(paired.population),
        left_out=len(paired.pairs.items) - len(rest.items),
    )


def _population(judge: JudgeMarks) -> np.ndarray:
    return np.array(list(judge.scores.values()), dtype=float)


def _chosen(kind: str, wanted: str | None, known: Sequence[str]) -> str:
    """The name asked for, in full or up to its bracket; or the only one."""
    if wanted is None and len(known) == 1:
        return known[0]
    fitting = [name for name in known if wanted in (name, base_name(name))]
    fitting = [name for name in fitting if CALIBRATED not in name or name == wanted]
    exact = [name for name in fitting if name == wanted]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    names = ", ".join(known) or "none"
    if wanted is None or fitting:
        raise UsageError(f"calibrate: expected one {kind}, there are several: {names}; choose with --{kind}")
    raise UsageError(f"calibrate: no {kind} named {wanted!r}{nearest_name(wanted, known)} (known: {names})")
