"""Examples of supervised training on the disk: shards that are mapped into memory, so that any number of them fits.

    examples/complete.json            how many rows, and of what they were made; written last
    examples/shard-000000/text.npy    int32, the ids of prompts and chains, row behind row
                          ends.npy    int64 [N, 2], where each row's prompt and its chain end in it
                          image.npy   uint16 or int32 [N, T], image tokens

A shard is written whole or is not there. A row is read where it lies, and pages that are not needed go again.
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.files.jsonl import dump
from gotr1_eval.files.writing import write_atomically

ROWS = 16_384
"""Rows of a shard: what a killed preparation loses at most, and few enough files for millions of rows."""
COMPLETE = "complete.json"
OPEN = 512
"""Shards that are held open; mapping one again takes less than a millisecond."""


@dataclass(frozen=True, slots=True)
class SftExample:
    """One training sequence as ids; the chain ends with `<begin_of_image>`, the image holds T codes."""

    prompt: tuple[int, ...]
    chain: tuple[int, ...]
    image: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Shard:
    text: NDArray[np.int32]
    ends: NDArray[np.int64]
    image: NDArray[np.integer[Any]]


class ExampleShards(Sequence[SftExample]):
    """The examples of a folder, in the order in which they were written.

    Attributes:
        made_of: what the writer said they were made of.
        lengths: of prompt and chain together, int32, one a row.

    Raises:
        DataError: the folder is not complete, or a file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            facts = json.loads((folder / COMPLETE).read_text("utf-8"))
            self.made_of: Any = facts["made_of"]
            counts = [int(count) for count in facts["rows"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"no complete set of examples: {one_line(error)}", path=folder / COMPLETE) from None
        self._starts = [0, *accumulate(counts)]
        self._open = lru_cache(maxsize=OPEN)(self._map)
        lengths = [np.diff(self._ends(shard), prepend=0) for shard in range(len(counts))]
        self.lengths: NDArray[np.int32] = np.concatenate([*lengths, np.empty(0)]).astype(np.int32)
        for shard, (found, count) in enumerate(zip(lengths, counts, strict=True)):
            if len(found) != count:
                raise DataError(f"expected {count} rows, got {len(found)}", path=_place(folder, shard))

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> SftExample: ...
    @overload
    def __getitem__(self, index: slice) -> list[SftExample]: ...
    def __getitem__(self, index: int | slice) -> SftExample | list[SftExample]:
        """The example of a row; negative numbers count from the end."""
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        place = bisect_right(self._starts, at) - 1
        shard, row = self._open(place), at - self._starts[place]
        start = int(shard.ends[row - 1, 1]) if row else 0
        middle, end = (int(each) for each in shard.ends[row])
        return SftExample(
            tuple(shard.text[start:middle].tolist()),
            tuple(shard.text[middle:end].tolist()),
            tuple(shard.image[row].tolist()),
        )

    def _ends(self, shard: int) -> NDArray[np.int64]:
        """Where the rows of a shard end; without holding its files open."""
        found: NDArray[np.int64] = _mapped(_place(self._folder, shard) / "ends.npy")[:, 1]
        return found

    def _map(self, shard: int) -> _Shard:
        folder = _place(self._folder, shard)
        return _Shard(*(_mapped(folder / f"{name}.npy") for name in ("text", "ends", "image")))


def write_examples(folder: Path, examples: Iterable[SftExample], made_of: object, rows: int = ROWS) -> ExampleShards:
    """Write examples shard by shard, after those that an earlier call has written whole.

    Args:
        examples: all but the first `rows_written(folder)`.
        made_of: anything that JSON holds; whoever opens the folder can compare it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = _written(folder)
    remaining = iter(examples)
    while part := list(islice(remaining, rows)):
        _write(_place(folder, len(counts)), part)
        counts.append(len(part))
    write_atomically(folder / COMPLETE, dump({"rows": counts, "made_of": made_of}))
    return ExampleShards(folder)


def rows_written(folder: Path) -> int:
    """Rows in whole shards."""
    return sum(_written(folder))


def _written(folder: Path) -> list[int]:
    counts: list[int] = []
    while (place := _place(folder, len(counts))).is_dir():
        counts.append(len(_mapped(place / "ends.npy")))
    return counts


def _write(place: Path, examples: Sequence[SftExample]) -> None:
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    lengths = np.array([[len(each.prompt), len(each.prompt) + len(each.chain)] for each in examples], np.int64)
    before = np.cumsum(lengths[:, 1]) - lengths[:, 1]
    image = np.array([each.image for each in examples])
    np.save(partial / "text.npy", np.concatenate([(*each.prompt, *each.chain) for each in examples]).astype(np.int32))
    np.save(partial / "ends.npy", lengths + before[:, None])
    np.save(partial / "image.npy", image.astype(np.uint16 if image.max(initial=0) < 2**16 else np.int32))
    partial.rename(place)


def _place(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:06}"


def _mapped(path: Path) -> Any:  # noqa: ANN401 - an array of any type
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"not a shard of examples: {one_line(error)}", path=path) from None
