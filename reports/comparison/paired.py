"""Two runs sample by sample: the same prompts, the same image indices, one judge.

Pictures of one prompt are alike, so the prompt is the unit: intervals draw whole prompts, and the permutation test
flips the signs of whole prompts. The mean difference is over samples, as the runs' own means are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.statistics.intervals import prompt_bootstrap
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.statistics.significance import LEVEL, holm, sign_flip_p
from gotr1_eval.core.types import Json
from reports.origins import run_labels
from reports.run_data import RunData

POWER_FACTOR = 2.8016
"""z(0.975) + z(0.8): a difference of so many standard errors is found in 80 % of the cases at the 5 % level."""
MOVED = 5
"""Prompts named in each direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """B minus A in one category.

    Attributes:
        mean: of the paired differences; None without a pair.
        low, high: 95 % bootstrap interval over prompts; None below two prompts.
        p: two-sided, of the sign-flip permutation test over prompts; 1.0 without two prompts.
        adjusted_p: after Holm's correction over the categories compared together.
        pairs, prompts: samples scored in both runs, and how many prompts they are of.
        left_out: samples without a score in one of the runs, or in both, by the word for which.
        wins, ties, losses: pairs in which B is above, equal to, below A.
        detectable: the smallest true difference that such a comparison finds in 80 % of the cases.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float
    adjusted_p: float
    pairs: int
    prompts: int
    left_out: Mapping[str, int]
    wins: int
    ties: int
    losses: int
    detectable: float | None

    @property
    def verdict(self) -> str:
        """ "better" or "worse" (B than A) where the adjusted p is below 5 %, else "within noise"."""
        if self.mean is None or self.adjusted_p >= LEVEL:
            return "within noise"
        return "better" if self.mean > 0 else "worse"


def compare_pairs(
    pairs: Mapping[str, Sequence[tuple[float, float]]], left_out: Mapping[str, int], seed: int = 0
) -> Difference:
    """The difference of one category, not yet corrected for the number of categories.

    Args:
        pairs: prompt -> (A's value, B's value) of each image index scored in both.
        left_out: how many samples had no pair, by reason.
    """
    # In an order that does not depend on the order of rows: random signs would fall on other prompts.
    groups = sorted(sorted(b - a for a, b in of_prompt) for of_prompt in pairs.values() if of_prompt)
    flat = np.array([value for group in groups for value in group])
    sums = np.array([sum(group) for group in groups])
    counts = np.array([len(group) for group in groups], dtype=np.float64)
    low, high = prompt_bootstrap(groups, seed)
    p = sign_flip_p(sums, seed)
    return Difference(
        mean=float(sums.sum() / counts.sum()) if groups else None,
        low=low,
        high=high,
        p=p,
        adjusted_p=p,
        pairs=len(flat),
        prompts=len(groups),
        left_out=dict(left_out),
        wins=int((flat > 0).sum()),
        ties=int((flat == 0).sum()),
        losses=int((flat < 0).sum()),
        detectable=_detectable(sums, counts),
    )


def _detectable(sums: Floats, counts: Floats) -> float | None:
    """`POWER_FACTOR` standard errors of the mean difference (a ratio of sums over prompts)."""
    if len(sums) < 2:
        return None
    residuals = sums - sums.sum() / counts.sum() * counts
    variance = len(sums) / (len(sums) - 1) * float(np.square(residuals).sum()) / float(counts.sum()) ** 2
    return POWER_FACTOR * math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Moved:
    """A prompt whose mean moved much.

    Attributes:
        identity: of the prompt: its samples' id without the image index.
        difference: mean of B's values minus mean of A's, over the image indices scored in both.
        sample: the image index that moved the most in this direction, as a sample's id.
        a, b: that sample's values in the two runs.
    """

    identity: str
    prompt: str
    category: str
    difference: float
    sample: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class JudgeComparison:
    """One judge's numbers of two runs.

    Attributes:
        judge: its full name, the same in both runs.
        rows: category -> difference, corrected over the categories.
        risen, fallen: the prompts that moved the most in each direction, most first.
        fingerprints_differ: the judge is called the same but was set up differently: the numbers are not comparable.
    """

    judge: str
    rows: Mapping[str, Difference]
    risen: tuple[Moved, ...]
    fallen: tuple[Moved, ...]
    fingerprints_differ: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run `b` against run `a`; `only_a` and `only_b` count the samples that the other run does not have."""

    a: str
    b: str
    judges: tuple[JudgeComparison, ...]
    only_a: int
    only_b: int

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "samples_only_in_a": self.only_a,
            "samples_only_in_b": self.only_b,
            "judges": [
                {
                    "judge": judge.judge,
                    "fingerprints_differ": judge.fingerprints_differ,
                    "rows": {category: {**asdict(row), "verdict": row.verdict} for category, row in judge.rows.items()},
                    "risen": [asdict(entry) for entry in judge.risen],
                    "fallen": [asdict(entry) for entry in judge.fallen],
                }
                for judge in self.judges
            ],
        }


def compare_runs(a: RunData, b: RunData, judges: Sequence[str] = ()) -> Comparison:
    """Compare all judges that both runs have, the total first, or those named.

    Args:
        judges: full names or factors.

    Raises:
        UsageError: the runs share no judge or no sample, or one of those named is missing.
    """
    chosen = _chosen(a, b, judges)
    if not set(a.samples) & set(b.samples):
        raise UsageError(f"compare: {a.folder} and {b.folder} share no sample: other prompts, or another suite")
    prints = [{column.name: column.fingerprint for column in run.judges} for run in (a, b)]
    labels = run_labels([a, b])
    return Comparison(
        labels[0],
        labels[1],
        tuple(_judge(a, b, name, prints[0][name] != prints[1][name]) for name in chosen),
        only_a=len(set(a.samples) - set(b.samples)),
        only_b=len(set(b.samples) - set(a.samples)),
    )


def _chosen(a: RunData, b: RunData, judges: Sequence[str]) -> list[str]:
    """The full names of the judges to compare."""
    shared = [column for column in a.judges if column.name in {other.name for other in b.judges}]
    if not shared:
        of_a, of_b = (", ".join(column.name for column in run.judges) for run in (a, b))
        raise UsageError(f"compare: the runs share no judge ({a.folder} has {of_a}; {b.folder} has {of_b})")
    names = {name: column.name for column in reversed(shared) for name in (column.factor, column.name)}
    for name in judges:
        if name not in names:
            known = ", ".join(column.name for column in shared)
            raise UsageError(f"compare: no judge {name!r} in both runs (in both: {known})")
    headline_first = sorted(shared, key=lambda column: column.factor != "total")
    return list(dict.fromkeys(names[name] for name in judges or [column.name for column in headline_first]))


Pairs = dict[str, dict[str, dict[str, tuple[float, float]]]]
"""Category -> prompt -> sample -> (A's value, B's value)."""


def _judge(a: RunData, b: RunData, name: str, fingerprints_differ: bool) -> JudgeComparison:
    pairs, left_out = _paired(a, b, name)
    rows = {
        category: compare_pairs(
            {prompt: list(values.values()) for prompt, values in found.items()}, left_out.get(category, {})
        )
        for category, found in pairs.items()
    }
    adjusted = holm([row.p for row in rows.values()])
    rows = {category: replace(row, adjusted_p=p) for (category, row), p in zip(rows.items(), adjusted, strict=True)}
    risen, fallen = _moved(a, pairs)
    return JudgeComparison(name, rows, risen, fallen, fingerprints_differ)


def _paired(a: RunData, b: RunData, name: str) -> tuple[Pairs, dict[str, Counter[str]]]:
    """The values of both runs side by side, and by category how many samples had no pair, by reason."""
    pairs: Pairs = {}
    left_out: dict[str, Counter[str]] = {}
    for identity in (identity for identity in a.samples if identity in b.samples):
        category = a.category(a.samples[identity])
        one, two = a.outcomes[name].get(identity), b.outcomes[name].get(identity)
        if _beside(one) and _beside(two):
            continue
        of_category = pairs.setdefault(category, {})
        if isinstance(one, Score) and isinstance(two, Score):
            of_category.setdefault(identity.rpartition("/")[0], {})[identity] = (one.value, two.value)
        else:
            left_out.setdefault(category, Counter())[_which(one, two)] += 1
    return pairs, left_out


def _beside(outcome: Outcome | None) -> bool:
    """Whether the judge has nothing to say of such prompts."""
    return isinstance(outcome, Unscored) and outcome.why is Why.NOT_APPLICABLE


def _which(one: Outcome | None, two: Outcome | None) -> str:
    if isinstance(one, Score):
        return "unscored in B"
    return "unscored in A" if isinstance(two, Score) else "unscored in both"


def _moved(a: RunData, pairs: Pairs) -> tuple[tuple[Moved, ...], tuple[Moved, ...]]:
    """The prompts whose mean moved the most, each direction at most `MOVED`."""
    found = [
        _move(a, category, prompt, values) for category, of in pairs.items() for prompt, values in of.items() if values
    ]
    ranked = sorted(found, key=lambda entry: -entry.difference)
    risen = tuple(entry for entry in ranked[:MOVED] if entry.difference > 0)
    fallen = tuple(entry for entry in reversed(ranked[-MOVED:]) if entry.difference < 0)
    return risen, fallen


def _move(a: RunData, category: str, prompt: str, values: Mapping[str, tuple[float, float]]) -> Moved:
    difference = sum(two - one for one, two in values.values()) / len(values)
    sign = 1.0 if difference > 0 else -1.0
    sample = max(values, key=lambda identity: sign * (values[identity][1] - values[identity][0]))
    return Moved(prompt, a.samples[sample].prompt, category, difference, sample, *values[sample])
