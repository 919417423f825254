"""What `score` is given: a folder of pictures, or a table of prompts with pictures, chains or both."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.layouts import prompt_of
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.identifiers import sample_id
from gotr1_eval.core.remote_pictures import IMAGE_URL
from gotr1_eval.core.row_files import find_shards, read_table
from gotr1_eval.core.types import Json, Sample

_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
_COLUMNS = ("prompt", "image", "chain", "category")


class Manifest:
    """The samples that a folder or a table names, in order; every iteration reads them anew and holds a few.

    A folder of pictures gives a sample a picture, its prompt being the file name, up to a ``_`` followed by six digits
    where there is one. A CSV, JSONL or Parquet table needs a column ``prompt`` and at least one of ``image`` (relative
    to the table's file) and ``chain``; ``category`` groups the results, other columns are kept with the sample. A
    table may be several files: a folder of them, or a pattern; and any of it may be a URL that fsspec opens.

    Iterating raises:
        UsageError: nothing is there, or of an unknown kind.
        DataError: the table lacks a column, or a row lacks its prompt.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = str(source)
        self.remote = "://" in self.source
        self.place = self.source if self.remote else str(Path(self.source).absolute())
        self.name = Path(self.place).name if Path(self.place).is_dir() else Path(self.place).stem

    def __iter__(self) -> Iterator[Sample]:
        found = False
        with closing(_Numbering(self.name)) as numbering:
            for sample in self._samples(numbering):
                found = True
                yield sample
        if not found:
            raise UsageError(f"{self.source}: holds nothing to score")

    def _samples(self, numbering: _Numbering) -> Iterator[Sample]:
        pictures = _pictures(Path(self.place)) if Path(self.place).is_dir() else iter(())
        empty = True
        for path in pictures:
            empty, prompt = False, prompt_of(path)
            yield Sample(id=numbering.next("all", prompt), prompt=prompt, image=path)
        if empty:
            yield from self._rows(numbering)

    def _rows(self, numbering: _Numbering) -> Iterator[Sample]:
        shards = find_shards(self.place)
        if not shards and not Path(self.place).is_dir():
            raise UsageError(f"{self.source}: no such folder or manifest")
        grouped = any(row.get("category") for shard in shards for _, row in read_table(shard))
        for shard in shards:
            for line, row in read_table(shard):
                yield _sample(row, shard, line, grouped=grouped, numbering=numbering)


def _pictures(folder: Path) -> Iterator[Path]:
    """The picture files below a folder, sorted by path; holds the names of one folder at a time."""
    with os.scandir(folder) as entries:
        here = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in here:
        path = folder / name
        if is_folder:
            yield from _pictures(path)
        elif path.suffix.lower() in _PICTURES and path.is_file():
            yield path


class _Numbering:
    """Ids of samples as benchmarks have them: pictures of one prompt differ in the last part only.

    Which prompts were seen, and how often, is kept in a temporary file that SQLite removes itself: a table of millions
    of prompts takes no more memory than a short one.
    """

    def __init__(self, name: str) -> None:
        self._name, self._prompts = name, 0
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, prompt INTEGER, images INTEGER) WITHOUT ROWID; BEGIN"
        )

    def next(self, category: str, prompt: str) -> str:
        """The id of one more picture of the prompt."""
        key = hashlib.blake2b(json.dumps([category, prompt]).encode(), digest_size=16).digest()
        ((index, images),) = self._seen.execute(
            "INSERT INTO seen VALUES (?, ?, 0) ON CONFLICT (key) DO UPDATE SET images = images + 1 "
            "RETURNING prompt, images",
            (key, self._prompts),
        )
        self._prompts += index == self._prompts
        return sample_id(self._name, category, index, images)

    def close(self) -> None:
        """Remove the temporary file."""
        self._seen.close()


def _sample(row: dict[str, Any], shard: str, line: int, *, grouped: bool, numbering: _Numbering) -> Sample:
    prompt = row.get("prompt")
    if not isinstance(prompt, str):
        raise DataError(f"expected a text under 'prompt', got {prompt!r}", path=shard, line=line)
    chain, image = row.get("chain"), row.get("image")
    for column, value in (("chain", chain), ("image", image)):
        if value is not None and not isinstance(value, str):
            raise DataError(f"expected a text or nothing under {column!r}, got {value!r}", path=shard, line=line)
    if image is None and chain is None:
        raise DataError("the row has neither 'image' nor 'chain'", path=shard, line=line)
    category = str(row.get("category") or ("no category" if grouped else "all"))
    if grouped and category == "all":
        raise DataError("a category cannot be called 'all', which is the row of the whole table", path=shard, line=line)
    meta = {str(key): _plain(value) for key, value in row.items() if key not in _COLUMNS} | {"category": category}
    path = None if image is None else _place_of(image, shard)
    if isinstance(path, str):
        meta[IMAGE_URL], path = path, None
    return Sample(id=numbering.next(category, prompt), prompt=prompt, chain=chain, image=path, meta=meta)


def _place_of(image: str, shard: str) -> Path | str:
    """Where a row's picture is: a file, or a URL; what is neither absolute nor a URL lies beside the row's file."""
    if "://" in image:
        return image
    if "://" in shard and not image.startswith("/"):
        return f"{shard.rpartition('/')[0]}/{image}"
    return (Path(shard).parent / image).absolute()


def _plain(value: object) -> Json:
    """A column's value as strict JSON: what JSON has no form for (dates, NaN, arrays) as text."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        return str(value)
