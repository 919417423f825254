"""What `score` is given: a folder of pictures, or a table of prompts with pictures, chains or both."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from gotr1_eval.core.errors import GotR1Error, UsageError, one_line
from gotr1_eval.core.identifiers import sample_id
from gotr1_eval.core.types import Sample
from gotr1_eval.files.columns import Columns, listed, own_columns
from gotr1_eval.files.embedded import Embedded
from gotr1_eval.files.pictures import is_picture_name, is_shown
from gotr1_eval.files.remote_pictures import EMBEDDED, IMAGE_URL, OWN_KEYS
from gotr1_eval.files.tables import Row, find_shards, is_missing, read_table, table_kind, table_stem, tell
from gotr1_eval.files.text import Remark
from gotr1_eval.runs.layouts import prompt_above, prompt_of

_LONGEST_PATH = 4096
_OURS = ("category", *OWN_KEYS)


class Manifest:
    """The samples that a folder or a table names, in order; every iteration reads them anew and holds a few.

    A table (see `gotr1_eval.files.tables`) needs a column of prompts and at least one of pictures (relative to the
    table's file, or inside it) and chains; one of categories groups the results, other columns are kept with the
    sample. A table may be several files: a folder of them, or a pattern; and any of it may be a URL that fsspec opens.

    A folder of pictures is read by the table beside them, ``metadata.csv`` say, whose column ``file_name`` names them.
    Without one, the ``metadata.jsonl`` of a numbered folder (GenEval's, say) gives its prompt, and else the file name
    does, up to a ``_`` followed by six digits where there is one. What systems hide (``._x.png``) is no picture.

    Args:
        columns: what the table's columns hold; see `gotr1_eval.files.columns`.

    Iterating raises:
        UsageError: nothing is there, or of an unknown kind.
        DataError: the table lacks a column, or a row lacks its prompt.
    """

    def __init__(self, source: str | Path, columns: Mapping[str, str] | None = None) -> None:
        self.source = str(source)
        self.columns = dict(columns or {})
        self.remote = "://" in self.source
        self.place = self.source if self.remote else str(Path(self.source).absolute())
        self.name = Path(self.place).name if Path(self.place).is_dir() else Path(self.place).stem
        self._told: set[str] = set()

    def __iter__(self) -> Iterator[Sample]:
        found = False
        with closing(_Numbering(self.name)) as numbering:
            for sample in self._samples(numbering):
                found = True
                yield sample
        if not found:
            raise UsageError(f"{self.source}: holds nothing to score")

    def _samples(self, numbering: _Numbering) -> Iterator[Sample]:
        folder = Path(self.place)
        found = False
        for path in _contents(folder, self.columns) if folder.is_dir() else ():
            found = True
            if is_picture_name(path.name):
                prompt = self._prompt_beside(path)
                yield Sample(id=numbering.next("all", prompt), prompt=prompt, image=path)
            else:
                yield from self._pictures_of(path, numbering)
        if not found:
            yield from self._rows(find_shards(self.place), numbering)

    def _rows(self, shards: Sequence[str], numbering: _Numbering) -> Iterator[Sample]:
        if not shards and not Path(self.place).is_dir():
            raise UsageError(f"{self.source}: no such folder or manifest")
        columns = Columns(self.columns, self._tell)
        grouped = any(_has_categories(shard, columns, self._tell) for shard in shards)
        for shard in shards:
            for row in read_table(shard, self._tell):
                yield _sample(row, columns.of(row), grouped=grouped, numbering=numbering)

    def _pictures_of(self, table: Path, numbering: _Numbering) -> Iterator[Sample]:
        """The samples of a table that lies beside its pictures; pictures that it does not name are told of."""
        self._tell(f"{table.parent}: prompts are taken from {table.name}")
        named = set()
        for sample in self._rows([str(table)], numbering):
            named.add(sample.image)
            yield sample
        others = [path for path in _files(table.parent) if is_picture_name(path.name) and path not in named]
        if others:
            shown = others[0].relative_to(table.parent)
            self._tell(f"{table}: {len(others)} pictures beside it are in no row and are not judged, such as {shown}")

    def _prompt_beside(self, picture: Path) -> str:
        """What a picture without a table is a picture of."""
        row = prompt_above(picture)
        if row is None and not any("file names" in line for line in self._told):
            self._tell(f"{self.source}: prompts are taken from the file names, such as {prompt_of(picture)!r}")
        return prompt_of(picture) if row is None else row

    def _tell(self, remark: str) -> None:
        """Once, though a manifest is read several times."""
        if remark not in self._told:
            self._told.add(remark)
            tell(remark)


def _contents(folder: Path, columns: Mapping[str, str]) -> Iterator[Path]:
    """Pictures below a folder, sorted by path, and in place of those of a folder that has one the table of them.

    Holds the names of one folder at a time.
    """
    table = _table_beside(folder, columns)
    if table is not None:
        if any(is_picture_name(path.name) for path in _files(folder)):
            yield table
        return
    for name, is_folder in _listed(folder):
        if is_folder:
            yield from _contents(folder / name, columns)
        elif is_picture_name(name) and ((folder / name).is_file() or (folder / name).is_symlink()):
            yield folder / name  # also a link that leads nowhere: a sample without its picture, and not one less


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden."""
    for name, is_folder in _listed(folder):
        if is_folder:
            yield from _files(folder / name)
        else:
            yield folder / name


def _listed(folder: Path) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of what is not hidden, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted((each.name, each.is_dir(follow_symlinks=False)) for each in entries if is_shown(each.name))


def _table_beside(folder: Path, columns: Mapping[str, str]) -> Path | None:
    """The table that says what the pictures of a folder show: ``metadata``, or the only other one that names them.

    Raises:
        UsageError: several do.
    """
    tables = [folder / name for name, is_folder in _listed(folder) if not is_folder and table_kind(name) is not None]
    tables = [path for path in tables if _names_pictures(path, columns)]
    tables = [path for path in tables if table_stem(path.name) == "metadata"] or tables
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise UsageError(f"{folder}: several tables beside the pictures ({names}); name the one that is meant")
    return tables[0] if tables else None


def _names_pictures(table: Path, columns: Mapping[str, str]) -> bool:
    """Whether a table has prompts and pictures that are files beside it.

    Raises:
        DataError: it is called metadata and cannot be read.
    """
    rows = read_table(str(table), remark=lambda _: None)
    try:
        row = next(rows, None)
        names = {} if row is None else Columns(columns, remark=lambda _: None).of(row)
    except GotR1Error:
        if table_stem(table.name) == "metadata":
            raise
        return False
    if row is None or not {"prompt", "image"} <= names.keys():
        return False
    image = row.cells[names["image"]]
    return isinstance(image, str) and (table_stem(table.name) == "metadata" or (table.parent / image).is_file())


def _has_categories(shard: str, columns: Columns, remark: Remark) -> bool:
    """Whether any row says a category; only rows of JSON may differ in their columns."""
    for row in read_table(shard, remark):
        name = columns.of(row).get("category")
        if name is None and row.key is None and not (table_kind(shard) or "").endswith("jsonl"):
            return False
        if name is not None and not is_missing(row.cells[name]):
            return True
    return False


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


def _sample(row: Row, names: Mapping[str, str], *, grouped: bool, numbering: _Numbering) -> Sample:
    prompt, image, chain, category = (
        row.cells.get(names.get(what, what)) for what in ("prompt", "image", "chain", "category")
    )
    # In JSON an empty text is a text like any other; in the cells of other tables it is a cell that was left out.
    said = (lambda text: text is not None) if "json" in (table_kind(row.place) or "") else bool
    if not isinstance(prompt, str) or not said(prompt):
        there = listed(tuple(row.cells))
        raise row.fault(
            f"expected a text under 'prompt', got {one_line(repr(prompt or None), 80)} ({there}; see --columns)"
        )
    if chain is not None and not isinstance(chain, str):
        raise row.fault(f"expected a text or nothing under 'chain', got {one_line(repr(chain), 80)}")
    meta = own_columns(row, names.values(), _OURS)
    picture = _picture(row, image)
    if picture is None and not said(chain):
        raise row.fault(f"the row has neither 'image' nor 'chain' ({listed(tuple(row.cells))}; see --columns)")
    group = ("no category" if grouped else "all") if is_missing(category) else str(category).strip()
    if grouped and group in ("all", "mean of tasks"):
        raise row.fault(f"a category cannot be called {group!r}, which is a row of the whole table")
    meta["category"] = group
    if isinstance(picture, Embedded):
        meta[EMBEDDED] = {"file": picture.place, "row": picture.row, "column": picture.column, "name": picture.name}
    elif isinstance(picture, str):
        meta[IMAGE_URL] = picture
    path = picture if isinstance(picture, Path) else None
    return Sample(
        id=numbering.next(group, prompt), prompt=prompt, chain=chain if said(chain) else None, image=path, meta=meta
    )


def _picture(row: Row, image: object) -> Path | str | Embedded | None:
    """Where a row's picture is: a file, a URL, or inside the table; relative to the table's file.

    Raises:
        DataError: something else stands there.
    """
    cell = image
    if isinstance(cell, list) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, dict) and isinstance(cell.get("path"), str) and not cell.get("bytes"):
        cell = cell["path"]
    if is_missing(cell) or isinstance(cell, Embedded):
        return cell if isinstance(cell, Embedded) else None
    if not isinstance(cell, str):
        raise row.fault(f"expected a text or nothing under 'image', got {one_line(repr(image), 80)}")
    text = cell.strip()
    if text.startswith("data:") or len(text) > _LONGEST_PATH or "\0" in text:
        raise row.fault(f"expected a file or a URL under 'image', got {one_line(repr(text), 60)}")
    if "://" in text:
        return text
    if "://" in row.place and not text.startswith("/"):
        return f"{row.place.rpartition('/')[0]}/{text}"
    return (Path(row.place).parent / text).absolute()
