"""What a study may draw: samples of some runs that could be rated, or pairs of samples of the same prompt and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from reports.agreement.pairs import preferred
from reports.agreement.study_folder import Dimension, Item
from reports.run_data import RunData


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be drawn.

    Attributes:
        item: as the study will hold it, but for its chance, its cell and the names of its pictures.
        model: the run, or the two runs, that it is from: what the draw is balanced over.
        score: what the draw is balanced over within a model; None where the judge gave none.
        pictures: "image" or "other_image" -> where that picture is.
    """

    item: Item
    model: str
    score: float | None
    pictures: Mapping[str, Path] = field(default_factory=dict)


def stratifying_judge(runs: Sequence[RunData], by: str | None) -> str:
    """The full name of the judge whose scores make the ranges; empty where nobody judged, and there is one range.

    Raises:
        UsageError: it is missing in a run, or the runs were not judged by the same one.
    """
    wanted = by
    if wanted is None:
        factors = [column.factor for column in runs[0].judges]
        if not any(run.judges for run in runs):
            return ""
        wanted = "total" if "total" in factors else factors[0] if factors else "total"
    found = {}
    for run in runs:
        known = {name: column.name for column in run.judges for name in (column.name, column.factor)}
        if wanted not in known:
            hint = nearest_name(wanted, known) or f" (it has {', '.join(known) or 'none'})"
            raise UsageError(f"study: {run.folder} has no judge {wanted!r}{hint}; choose one with --by")
        found[run.folder] = known[wanted]
    if len(set(found.values())) > 1:
        names = "; ".join(f"{folder}: {name}" for folder, name in found.items())
        raise UsageError(f"study: {wanted!r} is not the same judge in all runs ({names}); choose one with --by")
    return next(iter(found.values()))


def single_samples(
    runs: Sequence[RunData], dimensions: Sequence[Dimension], judge: str, left_out: Counter[str]
) -> Iterator[Candidate]:
    """Every sample that shows what a dimension needs; others are counted by reason in `left_out`."""
    several = len(runs) > 1
    for run in runs:
        for sample in run.samples.values():
            if isinstance(sample.image, Path) and not sample.image.is_file():
                left_out["picture missing"] += 1
            elif not any(
                one.shown_by(chain=sample.chain is not None, image=sample.image is not None) for one in dimensions
            ):
                left_out["nothing to rate"] += 1
            else:
                outcome = run.outcomes.get(judge, {}).get(sample.id)
                score = outcome.value if isinstance(outcome, Score) else None
                pictures = {"image": sample.image} if isinstance(sample.image, Path) else {}
                yield Candidate(_single(run, sample, several), run.folder.name, score, pictures)


def _single(run: RunData, sample: Sample, several: bool) -> Item:
    outcomes = {column.name: run.outcomes[column.name].get(sample.id) for column in run.judges}
    return Item(
        item=f"{run.folder.name}/{sample.id}" if several else sample.id,
        prompt=sample.prompt,
        chain=sample.chain,
        image="" if sample.image is not None else None,
        category=run.category(sample),
        generator=run.folder.name if several or sample.generator is None else sample.generator,
        cluster=sample.prompt,
        scores={name: outcome.value for name, outcome in outcomes.items() if isinstance(outcome, Score)},
        unscored={name: outcome.why.value for name, outcome in outcomes.items() if isinstance(outcome, Unscored)},
    )


def sample_pairs(runs: Sequence[RunData], judge: str, left_out: Counter[str]) -> Iterator[Candidate]:
    """Every two pictures of the same sample in two runs; the ranges are those of the scores' difference.

    Raises:
        UsageError: there are fewer than two runs.
    """
    if len(runs) < 2:
        raise UsageError("study --pairs: expected two runs or more of the same prompts, got one")
    # As a pair's sides are ordered, by the whole name: "grpo-2/" stands before "grpo/".
    for a, b in combinations(sorted(runs, key=lambda run: f"{run.folder.name}/"), 2):
        for name in a.samples:
            if name not in b.samples:
                left_out["only in one of two runs"] += 1
                continue
            sides = (a.samples[name].image, b.samples[name].image)
            if not all(isinstance(image, Path) and image.is_file() for image in sides):
                left_out["picture missing"] += 1
                continue
            pictures = {key: Path(str(image)) for key, image in zip(("image", "other_image"), sides, strict=True)}
            yield Candidate(
                _pair(a, b, name), f"{a.folder.name} and {b.folder.name}", _gap(a, b, name, judge), pictures
            )


def _gap(a: RunData, b: RunData, name: str, judge: str) -> float | None:
    """How much more the judge gave to the first run's picture."""
    first, second = (run.outcomes.get(judge, {}).get(name) for run in (a, b))
    return first.value - second.value if isinstance(first, Score) and isinstance(second, Score) else None


def _pair(a: RunData, b: RunData, name: str) -> Item:
    sample = a.samples[name]
    first, second = (f"{run.folder.name}/{name}" for run in (a, b))
    both = {column.name for column in a.judges} & {column.name for column in b.judges}
    outcomes = {judge: (a.outcomes[judge].get(name), b.outcomes[judge].get(name)) for judge in sorted(both)}
    return Item(
        item=f"{first} vs {second}",
        prompt=sample.prompt,
        image="",
        other_image="",
        pair=(first, second),
        category=a.category(sample),
        generator=f"{a.folder.name} and {b.folder.name}",
        cluster=sample.prompt,
        scores={
            judge: preferred(one.value, other.value)
            for judge, (one, other) in outcomes.items()
            if isinstance(one, Score) and isinstance(other, Score)
        },
        unscored={judge: why for judge, sides in outcomes.items() if (why := _why_unscored(sides)) is not None},
    )


def _why_unscored(sides: tuple[Outcome | None, Outcome | None]) -> str | None:
    """Why a judge has no preference; None where it has one, or was not asked about both."""
    reasons = [side.why for side in sides if isinstance(side, Unscored)]
    if None in sides or not reasons:
        return None
    failures = [why for why in reasons if why is not Why.NOT_APPLICABLE]
    return (failures or reasons)[0].value
