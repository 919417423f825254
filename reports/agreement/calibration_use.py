"""What people's marks are used for: a judge put on their scale, and a benchmark's mean corrected by some of them.

The correction is prediction-powered inference:

    corrected = slope * (mean of the judge over all samples) + mean over the rated ones of (mark - slope * score)

The target is the mean mark that people would have given to all samples which the judge scored. With slope 1 this is
the difference estimator of Angelopoulos et al., "Prediction-Powered Inference" (2023); the slope that makes the
interval narrowest is taken from the rated sample ("PPI++", 2023), so that a useless judge costs nothing. Rated items
count by the inverse of their inclusion probability; the variance is that of a ratio in a stratified design with prompts
as clusters, with the finite population's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.ranks import Floats
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A corrected mean.

    Attributes:
        value, low, high: with its 95 % interval.
        people, people_low, people_high: what the rated sample alone says.
        judge: the judge's own mean over all samples, calibrated where it is.
        slope: how far the judge's scores were trusted.
        population, rated, prompts: how many samples the judge scored, and how many of them were rated, of how many
            prompts.
        left_out: rated items that the calibration was fitted on.
    """

    value: float
    low: float
    high: float
    people: float
    people_low: float
    people_high: float
    judge: float
    slope: float
    population: int
    rated: int
    prompts: int
    left_out: int

    @property
    def worth(self) -> float | None:
        """How many ratings one rating is worth thanks to the judge; None where people's interval has no width."""
        width = self.high - self.low
        return ((self.people_high - self.people_low) / width) ** 2 if width > 0 else None


def correct(population: Floats, rated: Pairs, left_out: int = 0) -> Corrected:
    """The corrected mean.

    Args:
        population: the judge's score of every sample, the rated ones included; calibrated where it is.
        rated: scores (calibrated likewise), marks and design of the rated ones.
        left_out: for the record.

    Raises:
        UsageError: fewer than three prompts are rated.
    """
    prompts = len(set(rated.prompts))
    if prompts < 3:
        raise UsageError(
            f"calibrate correct: expected ratings of at least 3 prompts, got {prompts}"
            + (f" ({left_out} rated items belong to the calibration; fit it with --share 0.5)" if left_out else "")
        )
    slope = _slope(rated)
    offset = slope * float(population.mean())
    value, half = _mean(rated, rated.marks - slope * rated.scores, len(population), spent=1)
    people, people_half = _mean(rated, rated.marks, len(population), spent=0)
    return Corrected(
        value=offset + value,
        low=offset + value - half,
        high=offset + value + half,
        people=people,
        people_low=people - people_half,
        people_high=people + people_half,
        judge=float(population.mean()),
        slope=slope,
        population=len(population),
        rated=len(rated.items),
        prompts=prompts,
        left_out=left_out,
    )


def _slope(rated: Pairs) -> float:
    """The weighted least-squares slope of marks over scores; 0 for a judge that gave all the same score."""
    shares = rated.weights / rated.weights.sum()
    scores = rated.scores - shares @ rated.scores
    variance = float(shares @ scores**2)
    return float(shares @ (scores * rated.marks)) / variance if variance > 0 else 0.0


def _mean(rated: Pairs, values: Floats, population: int, *, spent: int) -> tuple[float, float]:
    """The weighted mean, and half the width of its interval.

    Args:
        spent: parameters that were fitted before.
    """
    # scipy.special holds the quantiles; scipy.stats takes seconds to import.
    from scipy.special import stdtrit

    shares = rated.weights / rated.weights.sum()
    mean = float(shares @ values)
    clusters, strata = _clusters(rated)
    sums = np.bincount(clusters, weights=shares * (values - mean))
    unseen = max(1.0 - len(values) / population, 0.0)
    variance = 0.0
    for stratum in np.unique(strata):
        inside = sums[strata == stratum]
        variance += len(inside) / (len(inside) - 1) * float(((inside - inside.mean()) ** 2).sum())
    freedom = max(len(sums) - len(np.unique(strata)) - spent, 1)
    return mean, float(stdtrit(freedom, 0.975)) * float(np.sqrt(unseen * variance))


def _clusters(rated: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """(each item's cluster, each cluster's stratum); a cluster belongs where its first item does.

    Strata with a single cluster say nothing about their spread and are taken together, with the next one if need be.
    """
    names = list(dict.fromkeys(rated.prompts))
    places = {name: place for place, name in enumerate(names)}
    clusters = np.array([places[prompt] for prompt in rated.prompts])
    first: dict[str, str] = {}
    for prompt, stratum in zip(rated.prompts, rated.strata, strict=True):
        first.setdefault(prompt, stratum)
    return clusters, _collapsed([first[name] for name in names])


def _collapsed(strata: Sequence[str]) -> np.ndarray:
    """The number of each cluster's stratum, none with a single cluster."""
    names, places, counts = np.unique(list(strata), return_inverse=True, return_counts=True)
    lonely = counts == 1
    numbers = np.where(lonely, len(names), np.arange(len(names)))
    if lonely.sum() == 1 and len(names) > 1:
        numbers[lonely] = int(np.flatnonzero(~lonely)[0])
    return np.asarray(numbers[places])


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
