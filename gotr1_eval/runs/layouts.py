"""Picture folders that official evaluators read; `gotr1_eval.runs.picture_folders` reads them back.

    NumberedNames    <folder>/<category>/samples/<prompt>_<6 digits>.png    the number counts the category's pictures
    PromptFolders    <folder>/<5 digits>/metadata.jsonl                     one row: the prompt, and what it asks for
                     <folder>/<5 digits>/samples/<4 digits>.png

A suite says which of them its benchmark has, or brings a `PictureLayout` of its own.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.protocols import PictureLayout
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import dump, read_rows
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.grid_places import GridPlaces

NUMBERED = re.compile(r"(?P<prompt>.+)_(?P<number>[0-9]{6})\.(?:png|jpg|jpeg|webp)", re.I | re.S)
_LONGEST_NAME = 255
"""Bytes that file systems allow in a name."""


@dataclass(frozen=True, slots=True)
class NumberedNames:
    """Pictures that are named by their prompt and counted through their category; see `PictureLayout`.

    The scripts that read it take the prompt from the file name, up to the first underscore, are started once a
    category, with that category's folder, and may need the numbers to run from 0 without a gap.

    Attributes:
        benchmark: whose scripts, in messages.
    """

    benchmark: str

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """``<category>/samples/<prompt>_<6 digits>.png``; raises UsageError for a prompt that cannot be a file name."""
        numbers: Counter[str] = Counter()
        paths = {}
        for sample in samples:
            category = str(sample.meta.get("category", "all"))
            name = f"{sample.prompt}_{numbers[category]:06d}.png"
            if not sample.prompt or set("/\0_") & set(sample.prompt) or len(os.fsencode(name)) > _LONGEST_NAME:
                raise UsageError(
                    f"{sample.id}: the prompt cannot be a file name of {self.benchmark}'s layout, which takes no '/', "
                    f"no '_' and {_LONGEST_NAME} bytes: {one_line(sample.prompt, 80)!r}"
                )
            paths[sample.id] = Path(category, "samples", name)
            numbers[category] += 1
        return paths

    def metadata(self, sample: Sample) -> None:
        """None: the names say everything."""


@dataclass(frozen=True, slots=True)
class PromptFolders:
    """A numbered folder a prompt, with a row of what it asks for; see `PictureLayout`.

    Attributes:
        benchmark: whose rows, in messages.
        facts: the fact of a prompt that is its row (a key of `Sample.meta`).
    """

    benchmark: str
    facts: str

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """``<5 digits>/samples/<4 digits>.png``; raises UsageError for a sample without a row."""
        folders: dict[str, int] = {}
        pictures: Counter[str] = Counter()
        paths = {}
        for sample in samples:
            if self.metadata(sample) is None:
                whose = f"{self.benchmark}'s"
                raise UsageError(f"{sample.id}: the sample has no row of {whose} metadata; only {whose} prompts do")
            key = sample.id.rpartition("/")[0]
            folder = folders.setdefault(key, len(folders))
            paths[sample.id] = Path(f"{folder:05d}", "samples", f"{pictures[key]:04d}.png")
            pictures[key] += 1
        return paths

    def metadata(self, sample: Sample) -> dict[str, Json] | None:
        """The prompt's row."""
        row = sample.meta.get(self.facts)
        return row if isinstance(row, dict) else None


@runtime_checkable
class Indexed(Protocol):
    """A layout whose folder holds one file that says which picture is whose."""

    def index(self, pictures: Mapping[str, Path]) -> tuple[str, str]:
        """(name, content) of that file, of the pictures that were written, by prompt."""
        ...


def prompt_of(path: Path) -> str:
    """The prompt that a file name states: up to ``_`` and six digits where there are any, else the whole stem."""
    match = NUMBERED.fullmatch(path.name)
    return match["prompt"] if match else path.stem


def prompt_above(picture: Path) -> str | None:
    """The prompt in the ``metadata.jsonl`` of a picture's numbered folder, None for one that lies elsewhere."""
    metadata = picture.parent.parent / "metadata.jsonl"
    return _prompt_in(metadata) if picture.parent.name == "samples" else None


@lru_cache(maxsize=64)
def _prompt_in(metadata: Path) -> str | None:
    return str(read_metadata(metadata)["prompt"]) if metadata.is_file() else None


def read_metadata(path: Path) -> dict[str, Json]:
    """The one row of a numbered folder's metadata.jsonl.

    Raises:
        DataError: it holds something else.
    """
    rows = [row for _, row in read_rows(path, ours=False)]
    if len(rows) != 1 or not isinstance(rows[0].get("prompt"), str):
        raise DataError("expected one JSON object with the prompt and what it asks for", path=path)
    return rows[0]


def write_layout(layout: PictureLayout, plan: Sequence[Sample], made: Sequence[Sample], folder: Path) -> int:
    """Put the pictures of finished samples where the official evaluator looks for them; returns how many.

    Args:
        plan: all samples of the run, which decide names and numbers.
        made: finished samples, in any order; those without a picture file are passed over.
        folder: made if need be; pictures are hard links where the file system can, and copies elsewhere.
    """
    if isinstance(layout, GridPlaces):
        return layout.write(plan, made, folder)
    paths = layout.paths(plan)
    count = 0
    written: dict[str, Path] = {}
    for sample in made:
        if isinstance(sample.image, Path) and sample.image.exists():
            target = folder / paths[sample.id]
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(sample.image, target)
            if (row := layout.metadata(sample)) is not None:
                (target.parent.parent / "metadata.jsonl").write_text(dump(dict(row)) + "\n", encoding="utf-8")
            written[sample.prompt] = target
            count += 1
    if isinstance(layout, Indexed):
        name, text = layout.index(written)
        write_atomically(folder / name, text)
    return count


def _put(source: Path, target: Path) -> None:
    """Replace `target`; a picture generated anew has another inode, so that an old link must not stay."""
    partial = target.with_name(f".{target.stem[-12:]}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
