"""A study for people to rate: items drawn from all samples of some runs that could be rated, and who is asked what."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError, nearest_name
from gotr1_eval.core.identifiers import utf8
from gotr1_eval.core.statistics.precision import effective_items
from gotr1_eval.files.pictures import PictureError, open_picture
from reports.agreement.candidates import Candidate, sample_pairs, single_samples, stratifying_judge
from reports.agreement.controls import read_controls
from reports.agreement.marks import base_name
from reports.agreement.sampling_design import UNIT, Cell, draw_places, inclusion_amounts, score_ranges
from reports.agreement.study_folder import PREFERENCE, Design, Dimension, Item, Study, write_study
from reports.run_data import RunData, load_run
from rewards.human_rubric import NAMES, questions

QUESTION = "Which of the two pictures shows better what the request asks for?"
"""Of a study of pairs, unless it has one of its own."""
EVERYBODY = Design()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A study before it is written.

    Attributes:
        study: its items' pictures are named as they will lie in the study's folder.
        pictures: name in the study's folder -> where the picture is now.
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
    controls: Sequence[Item] = (),
    design: Design = EVERYBODY,
) -> Drawn:
    """Draw a study from one run or several: of pairs where a dimension asks about two pictures.

    Args:
        by: factor or full name of the judge whose scores make the ranges; the total, or else the first judge.
        ranges: how many ranges of scores, within each category.
        controls: items with known answers, which are shown beside the drawn ones.

    Raises:
        UsageError: two runs of one name, a judge that a run lacks, or nothing that could be rated.
    """
    _check_names(runs)
    judge = stratifying_judge(runs, by)
    left_out: Counter[str] = Counter()
    pairs = any("pair" in dimension.needs for dimension in dimensions)
    candidates = list(
        sample_pairs(runs, judge, left_out) if pairs else single_samples(runs, dimensions, judge, left_out)
    )
    if not candidates:
        why = ", ".join(f"{number} {reason}" for reason, number in left_out.items()) or "the runs are empty"
        raise UsageError(f"study: no sample can be rated on {', '.join(d.name for d in dimensions)} ({why})")
    cells = _cells(candidates, ranges)
    prompts = [candidate.item.prompt for candidate in candidates]
    amounts = inclusion_amounts(cells, prompts, count)
    places = draw_places(amounts, cells, prompts, seed)
    items = [
        replace(candidates[p].item, stratum=str(cells[p]), inclusion_probability=amounts[p] / UNIT) for p in places
    ]
    pictures: dict[str, Path] = {}
    drawn = [_named(seed, item, candidates[p].pictures, pictures) for item, p in zip(items, places, strict=True)]
    known = [_named(seed, item, _own_pictures(item), pictures) for item in controls]
    study = Study(
        name=name,
        seed=seed,
        population=len(candidates),
        dimensions=tuple(dimensions),
        items=(*drawn, *known),
        setup={
            "runs": [{"name": run.folder.name, "folder": str(run.folder.absolute())} for run in runs],
            "score ranges of": judge,
            "ranges": ranges,
            "cells": len(set(cells)),
            "effective items": round(effective_items([item.inclusion_probability for item in items]), 1),
            "left out": dict(left_out),
        },
        design=design,
    )
    return Drawn(study, pictures)


def _check_names(runs: Sequence[RunData]) -> None:
    for name, number in Counter(run.folder.name for run in runs).items():
        if number > 1:
            raise UsageError(f"study: {number} runs are called {name!r}; items are named after their run, rename one")


def _cells(candidates: Sequence[Candidate], ranges: int) -> list[Cell]:
    """Each candidate's cell; ranges are the same for all models of a category."""
    by_category: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        by_category.setdefault(candidate.item.category, []).append(place)
    names = [""] * len(candidates)
    for places in by_category.values():
        scores = [candidates[place].score for place in places]
        for place, name in zip(places, score_ranges(scores, ranges), strict=True):
            names[place] = name
    return [Cell(one.item.category, one.model, name) for one, name in zip(candidates, names, strict=True)]


def _own_pictures(item: Item) -> dict[str, Path]:
    named = {"image": item.image, "other_image": item.other_image}
    return {side: Path(name) for side, name in named.items() if name is not None}


def _named(seed: int, item: Item, originals: Mapping[str, Path], pictures: dict[str, Path]) -> Item:
    """The item with names of its pictures that say nothing about where they come from; `pictures` learns them."""
    for side, original in originals.items():
        digest = hashlib.sha256(utf8(f"{seed}\n{item.item}\n{side}")).hexdigest()
        name = f"pictures/{digest[:16]}.png"
        pictures[name] = original
        item = replace(item, image=name) if side == "image" else replace(item, other_image=name)
    return item


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
    pairs_question: str | None = None,
    controls: Path | None = None,
    design: Design = EVERYBODY,
) -> Study:
    """Draw a study from runs and write it, with a copy of every picture that it needs.

    Args:
        dimensions: what to ask, by name of a dimension or of a reward; all that the runs' judges score by default.
        own_prompts: reward -> the prompt file that its judge was given; the judges' usual ones are known.
        pairs_question: makes it a study of pairs, in which this is asked (see `QUESTION`).
        controls: a file of items with known answers, see `reports.agreement.controls`.

    Raises:
        UsageError: the folder holds something already, or the runs cannot be studied so.
        DataError: a run or a picture cannot be read.
    """
    if out.exists() and (not out.is_dir() or (out / "study.json").exists()):
        raise UsageError(
            f"--out {out}: there is a study (or a file) already, and ratings may hang on it; choose another"
        )
    runs = [load_run(folder) for folder in folders]
    if pairs_question is None:
        asked = study_dimensions(runs, dimensions, own_prompts or {})
    elif dimensions or own_prompts:
        raise UsageError("study --pairs: asks one question (--question), so --dimensions and --rubric do not apply")
    else:
        asked = [preference(pairs_question)]
    known = [] if controls is None else read_controls(controls, asked)
    drawn = draw_study(
        out.name, runs, asked, count=count, seed=seed, by=by, ranges=ranges, controls=known, design=design
    )
    for name, original in drawn.pictures.items():
        _copy_picture(original, out / name)
    write_study(drawn.study, out)
    return drawn.study


def preference(question: str) -> Dimension:
    """What is asked about a pair; every judge's preference is held against it."""
    return Dimension(name=PREFERENCE, judge=PREFERENCE, rubric=question, low=0, high=1, step=0.5, needs=("pair",))


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
