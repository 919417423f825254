"""From runs to a study's folder: who is asked what about which items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError, nearest_name
from gotr1_eval.files.pictures import PictureError, open_picture
from reports.agreement.marks import base_name
from reports.agreement.study_drawing import draw_study
from reports.agreement.study_folder import Dimension, Study, write_study
from reports.run_data import RunData, load_run
from rewards.human_rubric import NAMES, questions


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
    """The picture's pixels alone, for a file's name and comments may say who painted it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        open_picture(source).save(target, format="PNG")
    except PictureError as error:
        raise DataError(f"{error}; delete the file to leave its sample out of the study", path=source) from None
