"""The folders that the official evaluators read: written from a run, and read back for judging.

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
from typing import Literal, Protocol, get_args

from gotr1_eval.core.errors import DataError, UsageError, nearest_name, one_line
from gotr1_eval.core.jsonl import dump, read_rows
from gotr1_eval.core.pictures import is_shown
from gotr1_eval.core.types import Json, Sample

Layout = Literal["t2i-compbench", "geneval"]

_NUMBERED = re.compile(r"(?P<prompt>.+)_(?P<number>[0-9]{6})\.(?:png|jpg|jpeg|webp)", re.I | re.S)
_PICTURE = re.compile(r"(?P<number>[0-9]+)\.(?:png|jpg|jpeg|webp)", re.I)
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
    match = _NUMBERED.fullmatch(path.name)
    return match["prompt"] if match else path.stem


def geneval_prompt(picture: Path) -> str | None:
    """The prompt of a picture in GenEval's layout, None for one that lies elsewhere."""
    metadata = picture.parent.parent / "metadata.jsonl"
    return _prompt_in(metadata) if picture.parent.name == "samples" else None


@lru_cache(maxsize=64)
def _prompt_in(metadata: Path) -> str | None:
    return str(_read_metadata(metadata)["prompt"]) if metadata.is_file() else None


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


class Pictures(Protocol):
    """Pictures of an official layout."""

    def find(self, sample: Sample) -> Path | None:
        """The picture of a planned sample, by its prompt and `meta["image_index"]`; None where there is none."""
        ...

    def files(self) -> list[Path]:
        """All pictures, in a fixed order."""
        ...


def open_pictures(folder: Path) -> Pictures:
    """The pictures of a folder in either layout; GenEval's is known by its ``<digits>/metadata.jsonl``.

    Raises:
        UsageError: the folder does not exist, or holds pictures in neither layout.
        DataError: a metadata.jsonl is not GenEval's.
    """
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: not a folder")
    folder = folder.absolute()
    numbered = [path for path in sorted(folder.iterdir()) if path.name.isdigit() and (path / "metadata.jsonl").exists()]
    found: Pictures = GenEvalPictures(numbered) if numbered else CompBenchPictures(folder)
    if not found.files():
        raise UsageError(
            f"--images {folder}: no picture named like '<prompt>_000000.png' there, in samples/ or in "
            "<category>/samples/, and no GenEval folder like 00000/ with metadata.jsonl and samples/0000.png"
        )
    return found


class CompBenchPictures:
    """Pictures named ``<prompt>_<6 digits>``, in the folder, its ``samples/``, or ``<category>/samples/``.

    A prompt's pictures, sorted by number, are its image indices 0, 1, ...
    """

    def __init__(self, folder: Path) -> None:
        places: list[tuple[str | None, Path]] = [
            (None, folder / "samples" if (folder / "samples").is_dir() else folder)
        ]
        places += [(path.parent.name, path) for path in sorted(folder.glob("*/samples")) if path.is_dir()]
        self._pictures: dict[tuple[str | None, str], list[tuple[int, Path]]] = {}
        for category, place in places:
            for path in place.iterdir():
                if is_shown(path.name) and (match := _NUMBERED.fullmatch(path.name)):
                    key = (category, match["prompt"])
                    self._pictures.setdefault(key, []).append((int(match["number"]), path))
        for pictures in self._pictures.values():
            pictures.sort()

    def find(self, sample: Sample) -> Path | None:
        """See `Pictures`; the sample's own category comes before pictures without one."""
        category = str(sample.meta.get("category"))
        pictures = self._pictures.get((category, sample.prompt)) or self._pictures.get((None, sample.prompt), [])
        return _at([path for _, path in pictures], sample)

    def files(self) -> list[Path]:
        """See `Pictures`."""
        return sorted(path for pictures in self._pictures.values() for _, path in pictures)


class GenEvalPictures:
    """Pictures in GenEval's layout; a prompt is known by its tag and text, whatever its folder's number."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._pictures: dict[tuple[Json, Json], list[Path]] = {}
        for folder in folders:
            row = _read_metadata(folder / "metadata.jsonl")
            samples = folder / "samples"
            paths = [path for path in samples.iterdir() if _PICTURE.fullmatch(path.name)] if samples.is_dir() else []
            paths.sort(key=lambda path: int(path.stem))
            self._pictures[row.get("tag"), row["prompt"]] = paths

    def find(self, sample: Sample) -> Path | None:
        """See `Pictures`; samples without GenEval's metadata are found by their category and prompt."""
        tag = (geneval_row(sample) or {}).get("tag", sample.meta.get("category"))
        return _at(self._pictures.get((tag, sample.prompt), []), sample)

    def files(self) -> list[Path]:
        """See `Pictures`."""
        return [path for paths in self._pictures.values() for path in paths]


def _read_metadata(path: Path) -> dict[str, Json]:
    """The one row of a metadata.jsonl."""
    rows = [row for _, row in read_rows(path, ours=False)]
    if len(rows) != 1 or not isinstance(rows[0].get("prompt"), str):
        raise DataError("expected one JSON object with GenEval's tag, include and prompt", path=path)
    return rows[0]


def _at(pictures: Sequence[Path], sample: Sample) -> Path | None:
    index = sample.meta.get("image_index")
    return pictures[index] if isinstance(index, int) and index < len(pictures) else None
