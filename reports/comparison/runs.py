"""Runs against a first one: category by category, judge by judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Json
from reports.comparison.paired import Difference, compare_pairs, holm
from reports.run_data import RunData

MOVED = 5
"""Prompts named in each direction."""


@dataclass(frozen=True, slots=True)
class JudgeComparison:
    """One judge's numbers of two runs.

    Attributes:
        judge: its full name, the same in both runs.
        rows: category -> difference, corrected over the categories.
        moved: (prompt's identity, prompt, mean difference), most improved first, then the most worsened.
        fingerprints_differ: the judge is called the same but was set up differently: the numbers are not comparable.
    """

    judge: str
    rows: Mapping[str, Difference]
    moved: tuple[tuple[str, str, float], ...]
    fingerprints_differ: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run `b` against run `a`."""

    a: str
    b: str
    judges: tuple[JudgeComparison, ...]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "judges": [
                {
                    "judge": judge.judge,
                    "fingerprints_differ": judge.fingerprints_differ,
                    "rows": {category: {**asdict(row), "verdict": row.verdict} for category, row in judge.rows.items()},
                    "moved": [list(entry) for entry in judge.moved],
                }
                for judge in self.judges
            ],
        }


def compare_runs(a: RunData, b: RunData, judges: Sequence[str] = ()) -> Comparison:
    """Compare all judges that both runs have, or those named.

    Raises:
        UsageError: the runs share no judge or no sample, or one of those named is missing.
    """
    shared = [column.name for column in a.judges if column.name in {other.name for other in b.judges}]
    missing = [name for name in judges if name not in shared]
    if missing:
        raise UsageError(f"compare: no judge {missing[0]!r} in both runs (in both: {', '.join(shared) or 'none'})")
    if not shared:
        names = (", ".join(column.name for column in run.judges) for run in (a, b))
        raise UsageError(
            f"compare: the runs share no judge ({a.folder} has {next(names)}; {b.folder} has {next(names)})"
        )
    if not set(a.samples) & set(b.samples):
        raise UsageError(f"compare: {a.folder} and {b.folder} share no sample: other prompts, or another suite")
    prints = [{column.name: column.fingerprint for column in run.judges} for run in (a, b)]
    return Comparison(
        a.folder.name,
        b.folder.name,
        tuple(_judge(a, b, name, prints[0][name] != prints[1][name]) for name in judges or shared),
    )


def _judge(a: RunData, b: RunData, name: str, fingerprints_differ: bool) -> JudgeComparison:
    pairs: dict[str, dict[str, list[tuple[float, float]]]] = {}
    left_out: dict[str, Counter[str]] = {}
    prompts: dict[str, str] = {}
    for identity in dict.fromkeys([*a.samples, *b.samples]):
        sample = a.samples.get(identity) or b.samples[identity]
        category, prompt = a.category(sample), identity.rpartition("/")[0]
        one, two = a.outcomes[name].get(identity), b.outcomes[name].get(identity)
        if _beside(one) and _beside(two):
            continue
        prompts[prompt] = sample.prompt
        of_category = pairs.setdefault(category, {})
        if isinstance(one, Score) and isinstance(two, Score):
            of_category.setdefault(prompt, []).append((one.value, two.value))
        else:
            left_out.setdefault(category, Counter())[_which(one, two)] += 1
    rows = {category: compare_pairs(found, left_out.get(category, {})) for category, found in pairs.items()}
    adjusted = holm([row.p for row in rows.values()])
    rows = {category: replace(row, adjusted_p=p) for (category, row), p in zip(rows.items(), adjusted, strict=True)}
    return JudgeComparison(name, rows, _moved(pairs, prompts), fingerprints_differ)


def _beside(outcome: Outcome | None) -> bool:
    """Whether the judge has nothing to say of such prompts."""
    return isinstance(outcome, Unscored) and outcome.why is Why.NOT_APPLICABLE


def _which(one: Outcome | None, two: Outcome | None) -> str:
    if isinstance(one, Score):
        return "unscored in B"
    return "unscored in A" if isinstance(two, Score) else "unscored in both"


def _moved(
    pairs: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], prompts: Mapping[str, str]
) -> tuple[tuple[str, str, float], ...]:
    """The prompts whose mean moved the most, each direction at most `MOVED`."""
    means = [
        (prompt, prompts[prompt], sum(b - a for a, b in values) / len(values))
        for found in pairs.values()
        for prompt, values in found.items()
    ]
    ranked = sorted(means, key=lambda entry: -entry[2])
    risen = [entry for entry in ranked[:MOVED] if entry[2] > 0]
    fallen = [entry for entry in reversed(ranked[-MOVED:]) if entry[2] < 0]
    return (*risen, *fallen)


def sentence(category: str, row: Difference) -> str:
    """One category in words."""
    if row.mean is None:
        return f"{category}: no sample is scored in both runs"
    if row.ties == row.pairs:
        return f"{category}: identical in all {row.pairs} pairs"
    interval = "" if row.low is None else f" [{row.low:+.3f}, {row.high:+.3f}]"
    tail = f"p {row.adjusted_p:.3f}, {row.pairs} pairs of {row.prompts} prompts"
    if row.verdict == "within noise":
        needed = "" if row.detectable is None else f"; a difference of {row.detectable:.3f} could have been found"
        return f"{category}: within noise, {row.mean:+.3f}{interval} ({tail}{needed})"
    return f"{category}: {row.verdict} by {abs(row.mean):.3f}{interval} ({tail})"
