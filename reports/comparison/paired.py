"""Two runs sample by sample: the same prompts, the same image indices, one judge.

The mean difference is over samples, as the runs' own means are; the mean of tasks counts every category alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.statistics.significance import holm
from gotr1_eval.core.types import Json
from reports.comparison.difference import Difference, added, compare_pairs, pooled
from reports.origins import run_labels
from reports.run_data import RunData
from reports.run_summary import ALL, TASK_MEAN

MOVED = 5
"""Prompts named in each direction."""


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
        rows: category -> difference, corrected over the categories; with several of them `ALL` and `TASK_MEAN` come
            first, each a test of its own.
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
                    "rows": {category: row.json() for category, row in judge.rows.items()},
                    "risen": [asdict(entry) for entry in judge.risen],
                    "fallen": [asdict(entry) for entry in judge.fallen],
                }
                for judge in self.judges
            ],
        }


def compare_runs(a: RunData, b: RunData, judges: Sequence[str] = (), margin: float | None = None) -> Comparison:
    """Compare all judges that both runs have, the total first, or those named.

    Args:
        judges: full names or factors.
        margin: asks in every row whether B is not worse by more than it.

    Raises:
        UsageError: the runs share no judge or no sample, one of those named is missing, or its scores have no bounds
            and a margin is asked about.
    """
    chosen = _chosen(a, b, judges)
    if not any(_same_prompt(a, b, identity) for identity in a.samples):
        raise UsageError(f"compare: {a.folder} and {b.folder} share no sample: other prompts, or another suite")
    prints = [{column.name: column.fingerprint for column in run.judges} for run in (a, b)]
    labels = run_labels([a, b])
    return Comparison(
        labels[0],
        labels[1],
        tuple(_judge(a, b, name, prints[0][name] != prints[1][name], margin) for name in chosen),
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


def _judge(a: RunData, b: RunData, name: str, fingerprints_differ: bool, margin: float | None) -> JudgeComparison:
    pairs, left_out = _paired(a, b, name)
    by_category = {
        category: {prompt: list(values.values()) for prompt, values in found.items()}
        for category, found in pairs.items()
    }
    worst = _width(a, b, name)
    if margin is not None and not math.isfinite(worst):
        raise UsageError(f"--margin: the scores of {name} have no bounds, so that a rare break cannot be excluded")
    scored = [found for found in by_category.values() if any(found.values())]
    row = partial(compare_pairs, margin=margin, worst=worst)
    rows = {
        category: row([found], left_out.get(category, {}), comparisons=max(len(scored), 1))
        for category, found in by_category.items()
    }
    adjusted = holm([row.p for row in rows.values()])
    rows = {category: replace(row, adjusted_p=p) for (category, row), p in zip(rows.items(), adjusted, strict=True)}
    if len(scored) > 1:
        together = added(list(left_out.values()))
        rows = {ALL: row([pooled(by_category)], together), TASK_MEAN: row(scored, together)} | rows
    risen, fallen = _moved(a, pairs)
    return JudgeComparison(name, rows, risen, fallen, fingerprints_differ)


def _width(a: RunData, b: RunData, name: str) -> float:
    """How much a score can fall, by the judge's range."""
    ranges = [column.range for run in (a, b) for column in run.judges if column.name == name]
    return max(high for _, high in ranges) - min(low for low, _ in ranges)


def _paired(a: RunData, b: RunData, name: str) -> tuple[Pairs, dict[str, Counter[str]]]:
    """The values of both runs side by side, and by category how many samples had no pair, by reason."""
    pairs: Pairs = {}
    left_out: dict[str, Counter[str]] = {}
    for identity in (identity for identity in a.samples if identity in b.samples):
        category = a.category(a.samples[identity])
        if not _same_prompt(a, b, identity):
            left_out.setdefault(category, Counter())["another prompt in B"] += 1
            pairs.setdefault(category, {})
            continue
        one, two = a.outcomes[name].get(identity), b.outcomes[name].get(identity)
        if _beside(one) and _beside(two):
            continue
        of_category = pairs.setdefault(category, {})
        if isinstance(one, Score) and isinstance(two, Score):
            of_category.setdefault(identity.rpartition("/")[0], {})[identity] = (one.value, two.value)
        else:
            left_out.setdefault(category, Counter())[_which(one, two)] += 1
    return pairs, left_out


def _same_prompt(a: RunData, b: RunData, identity: str) -> bool:
    """Whether both runs have the sample, for the same prompt: of tables and folders ids are places in a list."""
    one, two = a.samples.get(identity), b.samples.get(identity)
    return one is not None and two is not None and one.prompt == two.prompt


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
