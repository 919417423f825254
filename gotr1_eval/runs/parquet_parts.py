"""A run's rows as Parquet files, which many processes write and none has to hold.

    part-00000.parquet   the first so many samples of the plan, a row each
    part-00001.parquet   the next ...

A row is a sample and everything that was judged of it. A part is written whole, and a reader finds the old file or the
new one. Columns: id, prompt, category, generator (empty until the sample is generated), image; for each judge its value
under its name and, where it has none, why under ``<name>/why``; and ``sample`` and ``judgments``, the very lines of
samples.jsonl and judgments.jsonl, from which the part is read back.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.identifiers import encodable
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from gotr1_eval.files.jsonl import dump
from gotr1_eval.runs.judgments import Judgment, judgment_row, read_judgment, read_sample, sample_row
from gotr1_eval.runs.store import Key, read_info

if TYPE_CHECKING:
    import pyarrow

_NAME = re.compile(r"part-(\d+)\.parquet")


@dataclass(slots=True)
class Part:
    """A fixed piece of a run's plan: its samples in order, and their judgments by key."""

    samples: list[Sample]
    judgments: dict[Key, Judgment] = field(default_factory=dict)


class PartStore:
    """One part of a run, held in memory while it is worked on; a `gotr1_eval.runs.store.Store`.

    Attributes:
        changed: whether anything was committed that was not there.
    """

    def __init__(self, folder: Path, part: Part) -> None:
        self.folder, self.part, self.changed = folder, part, False
        self._places = {sample.id: place for place, sample in enumerate(part.samples)}

    def samples(self) -> dict[str, Sample]:
        """See `Store`; what is only planned has no generator yet."""
        return {sample.id: sample for sample in self.part.samples if sample.generator is not None}

    def judgments(self) -> dict[Key, Judgment]:
        """See `Store`."""
        return dict(self.part.judgments)

    def append_samples(self, samples: Iterable[Sample]) -> None:
        """See `Store`; written when the work on the part ends."""
        for sample in samples:
            place = self._places[sample.id]
            self.changed |= self.part.samples[place] != sample
            self.part.samples[place] = sample

    def append_judgments(self, judgments: Iterable[Judgment]) -> None:
        """See `Store`; written when the work on the part ends."""
        for judgment in judgments:
            self.changed |= self.part.judgments.get(judgment.key) != judgment
            self.part.judgments[judgment.key] = judgment


class PartFolder:
    """The parts of one run, in a folder or under any URL that fsspec opens.

    Args:
        place: the folder or URL; every process that works on the run must reach it.
        run: the run folder, which holds the pictures; the same path in every process.

    Raises:
        UsageError: a URL of an unknown kind.
    """

    def __init__(self, place: str, run: Path) -> None:
        self.place, self.run = place, run.absolute()
        self._files()

    def _files(self) -> tuple[Any, str]:
        """The file system and the folder in it."""
        import fsspec

        try:
            return fsspec.core.url_to_fs(self.place)  # type: ignore[no-any-return]
        except (ValueError, ImportError, OSError) as error:
            raise UsageError(f"{self.place}: cannot hold the parts of a run: {one_line(error)}") from None

    def numbers(self) -> list[int]:
        """The parts that are there, in order."""
        return sorted(int(match[1]) for match in map(_NAME.fullmatch, self._names()) if match)

    def tidy(self) -> None:
        """Remove what killed processes left half done; only while nobody works on the run."""
        files, folder = self._files()
        for name in self._names():
            if name.endswith((".partial", ".begun")):
                files.rm_file(f"{folder}/{name}")

    def _names(self) -> list[str]:
        files, folder = self._files()
        files.invalidate_cache()
        if not files.exists(folder):
            return []
        return [str(path).rpartition("/")[2] for path in files.ls(folder, detail=False)]

    def begin(self, number: int) -> int:
        """Note that a part is begun; returns how often it was before, since the last `tidy`, and not finished."""
        files, folder = self._files()
        note = f"{folder}/{_name(number)}.begun"
        times = int(files.cat_file(note)) if files.exists(note) else 0
        files.pipe_file(note, str(times + 1).encode())
        return times

    def finish(self, number: int) -> None:
        """Take the note away."""
        files, folder = self._files()
        with suppress(FileNotFoundError):
            files.rm_file(f"{folder}/{_name(number)}.begun")

    def clear(self, first: int = 0) -> None:
        """Remove all parts from this number on."""
        files, folder = self._files()
        for number in self.numbers():
            if number >= first:
                files.rm_file(f"{folder}/{_name(number)}")

    def write(self, number: int, part: Part, judges: Sequence[tuple[str, str]] = ()) -> None:
        """Write a part whole.

        Args:
            judges: name and fingerprint of every judge that gets columns.
        """
        from pyarrow import BufferOutputStream, parquet

        stream = BufferOutputStream()
        parquet.write_table(_table(part, self.run, judges), stream)
        files, folder = self._files()
        path = f"{folder}/{_name(number)}"
        if files.protocol != ("file", "local"):
            files.pipe_file(path, stream.getvalue().to_pybytes())  # an object store shows an object when it is whole
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.stem}.{uuid.uuid4().hex}.partial")
        with partial.open("wb") as file:
            file.write(stream.getvalue())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)

    def read(self, number: int) -> Part:
        """A part as it was written last.

        Raises:
            DataError: it is not one of ours.
        """
        columns = self._columns(number, "sample", "judgments")
        samples = [read_sample(json.loads(text), self.run) for text in columns["sample"]]
        judgments = [read_judgment(json.loads(text)) for texts in columns["judgments"] for text in texts]
        return Part(samples, {judgment.key: judgment for judgment in judgments})

    def ids(self) -> Iterator[str]:
        """The samples of all parts, in order, also those that are only planned."""
        for number in self.numbers():
            yield from (str(json.loads(text)["id"]) for text in self._columns(number, "sample")["sample"])

    @contextmanager
    def open(self, number: int, judges: Sequence[tuple[str, str]] = ()) -> Iterator[PartStore]:
        """A part to work on; what has changed is written at the end, also where the work was ended by an error.

        Args:
            judges: name and fingerprint of every judge that gets columns.
        """
        store = PartStore(self.run, self.read(number))
        try:
            yield store
        finally:
            if store.changed:
                self.write(number, store.part, judges)

    def lines(self, number: int) -> Iterator[tuple[str, list[str]]]:
        """The line of every generated sample of a part, and the lines of its judgments."""
        columns = self._columns(number, "sample", "judgments", "generator")
        for sample, judgments, generator in zip(*columns.values(), strict=True):
            if generator is not None:
                yield sample, judgments

    def _columns(self, number: int, *names: str) -> dict[str, list[Any]]:
        from pyarrow import BufferReader, parquet

        files, folder = self._files()
        path = f"{folder}/{_name(number)}"
        try:
            table = parquet.ParquetFile(BufferReader(files.cat_file(path))).read([*names])
            return {name: table.column(name).to_pylist() for name in names}
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"cannot be read as a part of a run: {one_line(error)}", path=path) from None


def parts_of(folder: Path) -> PartFolder | None:
    """The parts that hold a run's rows, None where its JSON lines do (or where there is no run)."""
    if not (folder / "run.json").exists():
        return None
    facts: Any = read_info(folder).setup.get("parts")
    return PartFolder(str(facts["place"]), folder) if isinstance(facts, Mapping) else None


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _table(part: Part, run: Path, judges: Sequence[tuple[str, str]]) -> pyarrow.Table:
    """The part's columns; see the module's docstring."""
    import pyarrow as pa

    texts: dict[str, list[str]] = {sample.id: [] for sample in part.samples}
    for judgment in part.judgments.values():
        texts[judgment.sample].append(dump(judgment_row(judgment)))
    samples, text = part.samples, pa.string()
    columns = {
        "id": pa.array([encodable(sample.id) for sample in samples], text),
        "prompt": pa.array([encodable(sample.prompt) for sample in samples], text),
        "category": pa.array([encodable(str(sample.meta.get("category", "all"))) for sample in samples], text),
        "generator": pa.array([sample.generator for sample in samples], text),
        "image": pa.array([None if sample.image is None else encodable(str(sample.image)) for sample in samples], text),
    }
    for name, fingerprint in judges:
        found = [part.judgments.get((sample.id, name, fingerprint, 0)) for sample in samples]
        outcomes = [None if judgment is None else judgment.outcome for judgment in found]
        values = [outcome.value if isinstance(outcome, Score) else None for outcome in outcomes]
        reasons = [
            "" if isinstance(outcome, Score) else "missing" if outcome is None else outcome.why.value
            for outcome in outcomes
        ]
        columns |= {name: pa.array(values, pa.float64()), f"{name}/why": pa.array(reasons, text)}
    columns["sample"] = pa.array([dump(sample_row(sample, run)) for sample in samples], text)
    columns["judgments"] = pa.array([texts[sample.id] for sample in samples], pa.list_(text))
    return pa.table(columns)
