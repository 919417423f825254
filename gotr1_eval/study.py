"""A study for people to rate: items drawn from all samples of some runs that could be rated, and who is asked what."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError, nearest_name
from gotr1_eval.core.identifiers import utf8
from gotr1_eval.core.outcome import Score, Unscored
from gotr1_eval.core.statistics.precision import effective_items
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError, open_picture
from reports.agreement.marks import base_name
from reports.agreement.sampling_design import UNIT, Cell, draw_places, inclusion_amounts, score_ranges
from reports.agreement.study_folder import Dimension, Item, Study, write_study
from reports.run_data import RunData, load_run
from rewards.human_rubric import NAMES, questions


@dataclass(frozen=True, slots=True)
class Drawn:
    """A study before it is written.

    Attributes:
        study: its items' pictures are named as they will lie in the study's folder.
        pictures: item -> where its picture is now.
    """

    study: Study
    pictures: Mapping[str, Path]


def draw_study(
    name: str,
    runs: Sequence[RunData],
    dimensions: Sequence[Dimension],
    *,
    count: int,
    seed: int,
    by: str | None = None,
    ranges: int = 4,
) -> Drawn:
    """Draw a study from one run or several.

    Args:
        by: factor or full name of the judge whose scores make the ranges; the total, or else the first judge.
        ranges: how many ranges of scores, within each category.

    Raises:
        UsageError: two runs of one name, a judge that a run lacks, or nothing that could be rated.
    """
    _check_names(runs)
    judge = stratifying_judge(runs, by)
    left_out: Counter[str] = Counter()
    several = len(runs) > 1
    samples = [(run, sample) for run in runs for sample in _rateable(run, dimensions, left_out)]
    if not samples:
        why = ", ".join(f"{number} {reason}" for reason, number in left_out.items()) or "the runs are empty"
        raise UsageError(f"study: no sample can be rated on {', '.join(d.name for d in dimensions)} ({why})")
    cells = _cells(samples, judge, ranges)
    prompts = [sample.prompt for _, sample in samples]
    amounts = inclusion_amounts(cells, prompts, count)
    places = draw_places(amounts, cells, prompts, seed)
    items = [replace(_item(*samples[p], cells[p], several), inclusion_probability=amounts[p] / UNIT) for p in places]
    items = [item if item.image is None else replace(item, image=_picture_name(seed, item)) for item in items]
    study = Study(
        name=name,
        seed=seed,
        population=len(samples),
        dimensions=tuple(dimensions),
        items=tuple(items),
        setup={
            "runs": [{"name": run.folder.name, "folder": str(run.folder.absolute())} for run in runs],
            "score ranges of": judge,
            "ranges": ranges,
            "cells": len(set(cells)),
            "effective items": round(effective_items([item.inclusion_probability for item in items]), 1),
            "left out": dict(left_out),
        },
    )
    originals = {item.item: samples[place][1].image for item, place in zip(items, places, strict=True)}
    return Drawn(study, {item: path for item, path in originals.items() if isinstance(path, Path)})


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


def _check_names(runs: Sequence[RunData]) -> None:
    for name, number in Counter(run.folder.name for run in runs).items():
        if number > 1:
            raise UsageError(f"study: {number} runs are called {name!r}; items are named after their run, rename one")


def _rateable(run: RunData, dimensions: Sequence[Dimension], left_out: Counter[str]) -> list[Sample]:
    found = []
    for sample in run.samples.values():
        if isinstance(sample.image, Path) and not sample.image.is_file():
            left_out["picture missing"] += 1
        elif not any(
            one.shown_by(chain=sample.chain is not None, image=sample.image is not None) for one in dimensions
        ):
            left_out["nothing to rate"] += 1
        else:
            found.append(sample)
    return found


def _cells(samples: Sequence[tuple[RunData, Sample]], judge: str, ranges: int) -> list[Cell]:
    """Each sample's cell; ranges are the same for all models of a category."""
    by_category: dict[str, list[int]] = {}
    for place, (run, sample) in enumerate(samples):
        by_category.setdefault(run.category(sample), []).append(place)
    names = [""] * len(samples)
    for places in by_category.values():
        outcomes = [samples[p][0].outcomes.get(judge, {}).get(samples[p][1].id) for p in places]
        scores = [outcome.value if isinstance(outcome, Score) else None for outcome in outcomes]
        for place, name in zip(places, score_ranges(scores, ranges), strict=True):
            names[place] = name
    return [
        Cell(run.category(sample), run.folder.name, name) for (run, sample), name in zip(samples, names, strict=True)
    ]


def _item(run: RunData, sample: Sample, cell: Cell, several: bool) -> Item:
    outcomes = {column.name: run.outcomes[column.name].get(sample.id) for column in run.judges}
    return Item(
        item=f"{run.folder.name}/{sample.id}" if several else sample.id,
        prompt=sample.prompt,
        chain=sample.chain,
        image="" if sample.image is not None else None,
        category=cell.category,
        generator=run.folder.name if several or sample.generator is None else sample.generator,
        stratum=str(cell),
        cluster=sample.prompt,
        scores={name: outcome.value for name, outcome in outcomes.items() if isinstance(outcome, Score)},
        unscored={name: outcome.why.value for name, outcome in outcomes.items() if isinstance(outcome, Unscored)},
    )


def _picture_name(seed: int, item: Item) -> str:
    """A name that says nothing about where the picture comes from."""
    digest = hashlib.sha256(utf8(f"{seed}\n{item.item}")).hexdigest()
    return f"pictures/{digest[:16]}.png"


def make_study(
    folders: Sequence[Path],
    out: Path,
    *,
    count: int,
    seed: int,
    by: str | None = None,
    ranges: int = 4,
    dimensions: Sequence[str] = (),
    own_prompts: Mapping[str, Path] | None = None,
) -> Study:
    """Draw a study from runs and write it, with a copy of every picture that it needs.

    Args:
        dimensions: what to ask, by name of a dimension or of a reward; all that the runs' judges score by default.
        own_prompts: reward -> the prompt file that its judge was given; the judges' usual ones are known.

    Raises:
        UsageError: the folder holds something already, or the runs cannot be studied so.
        DataError: a run or a picture cannot be read.
    """
    if out.exists() and (not out.is_dir() or (out / "study.json").exists()):
        raise UsageError(
            f"--out {out}: there is a study (or a file) already, and ratings may hang on it; choose another"
        )
    runs = [load_run(folder) for folder in folders]
    asked = study_dimensions(runs, dimensions, own_prompts or {})
    drawn = draw_study(out.name, runs, asked, count=count, seed=seed, by=by, ranges=ranges)
    for item in drawn.study.items:
        if item.image is not None:
            _copy_picture(drawn.pictures[item.item], out / item.image)
    write_study(drawn.study, out)
    return drawn.study


def study_dimensions(
    runs: Sequence[RunData], wanted: Sequence[str], own_prompts: Mapping[str, Path]
) -> list[Dimension]:
    """What people are asked.

    Raises:
        UsageError: an unknown name, or the runs have no judge with a rubric and nothing is named.
    """
    judges = {column.factor: column.name for run in reversed(runs) for column in run.judges if column.factor in NAMES}
    if "geometric" in {column.factor for run in runs for column in run.judges}:
        judges.setdefault("spatial", "geometric")
    known = {name for names in NAMES.values() for name in names}
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"--dimensions: no {name!r}{nearest_name(name, known)} (known: {', '.join(sorted(known))})"
            )
    if wanted:
        judges = {factor: judges.get(factor, factor) for factor, names in NAMES.items() if {*names} & {*wanted}}
    asked = questions(judges, own_prompts)
    chosen = [one for one in asked if not wanted or one.name in wanted or one.factor in wanted]
    if not chosen:
        raise UsageError(
            f"study: no judge of these runs has a rubric; name what to ask: --dimensions {','.join(NAMES)}"
        )
    return [
        Dimension(name=q.name, judge=base_name(q.judge), rubric=q.rubric, low=q.low, high=q.high, needs=q.needs)
        for q in chosen
    ]


def _copy_picture(source: Path, target: Path) -> None:
    """The picture's pixels alone, for a file's name and comments may say which model made it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        open_picture(source).save(target, format="PNG")
    except PictureError as error:
        raise DataError(f"{error}; delete the file to leave its sample out of the study", path=source) from None
