"""The folders that the official evaluators read; `gotr1_eval.runs.picture_folders` reads them back.

    T2I-CompBench   <folder>/<category>/samples/<prompt>_<6 digits>.png    the number counts the category's pictures
    GenEval         <folder>/<5 digits>/metadata.jsonl                     one row: tag, include, exclude, prompt
                    <folder>/<5 digits>/samples/<4 digits>.png

T2I-CompBench's scripts are started once a category, with that category's folder as their --outpath. They take the
prompt from the file name, up to the first underscore, and two of them need the numbers to run from 0 without a gap.
A GenEval sample holds its prompt's row of `evaluation_metadata.jsonl` in `meta["geneval"]`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from gotr1_eval.core.errors import DataError, UsageError, nearest_name, one_line
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import dump, read_rows

Layout = Literal["t2i-compbench", "geneval"]

NUMBERED = re.compile(r"(?P<prompt>.+)_(?P<number>[0-9]{6})\.(?:png|jpg|jpeg|webp)", re.I | re.S)
_LONGEST_NAME = 255
"""Bytes that file systems allow in a name."""


def read_layout(name: str) -> Layout:
    """The layout of that name.

    Raises:
        UsageError: there is none.
    """
    for layout in get_args(Layout):
        if layout == name:
            return layout  # type: ignore[no-any-return]
    known = get_args(Layout)
    raise UsageError(f"no layout {name!r}{nearest_name(name, known)} (known: {', '.join(known)})")


def prompt_of(path: Path) -> str:
    """The prompt that a file name states: up to ``_`` and six digits where there are any, else the whole stem."""
    match = NUMBERED.fullmatch(path.name)
    return match["prompt"] if match else path.stem


def geneval_prompt(picture: Path) -> str | None:
    """The prompt of a picture in GenEval's layout, None for one that lies elsewhere."""
    metadata = picture.parent.parent / "metadata.jsonl"
    return _prompt_in(metadata) if picture.parent.name == "samples" else None


@lru_cache(maxsize=64)
def _prompt_in(metadata: Path) -> str | None:
    return str(read_metadata(metadata)["prompt"]) if metadata.is_file() else None


def read_metadata(path: Path) -> dict[str, Json]:
    """The one row of a GenEval folder's metadata.jsonl.

    Raises:
        DataError: it holds something else.
    """
    rows = [row for _, row in read_rows(path, ours=False)]
    if len(rows) != 1 or not isinstance(rows[0].get("prompt"), str):
        raise DataError("expected one JSON object with GenEval's tag, include and prompt", path=path)
    return rows[0]


def paths_of(layout: Layout, plan: Sequence[Sample]) -> dict[str, Path]:
    """Where each planned sample's picture belongs, relative to the layout's folder, by sample id.

    Depends on the whole plan and on nothing that is done already, so that shards and restarts agree.

    Raises:
        UsageError: a prompt that cannot be a file name, or a sample without GenEval's metadata.
    """
    return _compbench_paths(plan) if layout == "t2i-compbench" else _geneval_paths(plan)


def _compbench_paths(plan: Sequence[Sample]) -> dict[str, Path]:
    numbers: Counter[str] = Counter()
    paths = {}
    for sample in plan:
        category = str(sample.meta.get("category", "all"))
        name = f"{sample.prompt}_{numbers[category]:06d}.png"
        if not sample.prompt or set("/\0_") & set(sample.prompt) or len(os.fsencode(name)) > _LONGEST_NAME:
            raise UsageError(
                f"{sample.id}: the prompt cannot be a file name of T2I-CompBench's layout, which takes no '/', no '_' "
                f"and {_LONGEST_NAME} bytes: {one_line(sample.prompt, 80)!r}"
            )
        paths[sample.id] = Path(category, "samples", name)
        numbers[category] += 1
    return paths


def _geneval_paths(plan: Sequence[Sample]) -> dict[str, Path]:
    folders: dict[str, int] = {}
    pictures: Counter[str] = Counter()
    paths = {}
    for sample in plan:
        row = geneval_row(sample)
        if row is None:
            raise UsageError(f"{sample.id}: the sample has no row of GenEval's metadata; only GenEval's prompts do")
        key = sample.id.rpartition("/")[0]
        folder = folders.setdefault(key, len(folders))
        paths[sample.id] = Path(f"{folder:05d}", "samples", f"{pictures[key]:04d}.png")
        pictures[key] += 1
    return paths


def geneval_row(sample: Sample) -> dict[str, Json] | None:
    """The sample's row of GenEval's metadata, None for prompts of other benchmarks."""
    row = sample.meta.get("geneval")
    return row if isinstance(row, dict) else None


def write_layout(layout: Layout, plan: Sequence[Sample], made: Sequence[Sample], folder: Path) -> int:
    """Put the pictures of finished samples where the official evaluator looks for them; returns how many.

    Args:
        plan: all samples of the run, which decide names and numbers.
        made: finished samples, in any order; those without a picture file are passed over.
        folder: made if need be; pictures are hard links where the file system can, and copies elsewhere.
    """
    paths = paths_of(layout, plan)
    count = 0
    for sample in made:
        if isinstance(sample.image, Path) and sample.image.exists():
            target = folder / paths[sample.id]
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(sample.image, target)
            if (row := geneval_row(sample)) is not None and layout == "geneval":
                (target.parent.parent / "metadata.jsonl").write_text(dump(row) + "\n", encoding="utf-8")
            count += 1
    return count


def _put(source: Path, target: Path) -> None:
    """Replace `target`; a picture painted anew has another inode, so that an old link must not stay."""
    partial = target.with_name(f".{target.stem[-12:]}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
