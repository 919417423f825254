"""The data of supervised training: rows of tables become examples, once, in shards (`training.sft_examples`).

A row of a table (see `gotr1_eval.files.tables`) has `prompt`, `chain` (ending with `<begin_of_image>` or not), and
either `image`, a file beside the table or an absolute path, or `image_tokens`, the codes themselves. The columns may go
by other names. Rows of the GoT data have their chain under `got`, in which the editing set's own reader puts the texts
of `coord` in the place of its keys: `columns = { chain = "got", coord = "coord" }`. The other names of the
text-to-image sets are not described by any source that this project could cite.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.files.jsonl import dump
from gotr1_eval.files.pictures import PictureError, open_picture
from gotr1_eval.files.tables import read_table
from gotr1_eval.files.writing import write_atomically
from training.policies import Policy
from training.prefetch import one_ahead
from training.settings import ColumnSettings
from training.sft_examples import COMPLETE, ExampleShards, SftExample, rows_written, write_examples

Row = Mapping[str, Any]
_ENDS = 2**20
"""Bytes of a file's beginning and end that tell it from another."""


def read_examples(
    files: Sequence[Path], policy: Policy, folder: Path, columns: ColumnSettings | None = None, batch_size: int = 32
) -> ExampleShards:
    """Every row of the files as an example, in order; made once, and opened from then on without reading a file again.

    Args:
        files: tables; or one folder of examples that another run has made of the same kind of checkpoint.
        folder: where the examples are kept. A preparation that was killed goes on behind its last whole shard.

    Raises:
        UsageError: a file that is no table, a folder whose examples are of other data or of another checkpoint.
        DataError: a file or row that cannot be read; names file and line.
    """
    columns = columns or ColumnSettings()
    maker = {"tokenizer": _tokenizer_digest(policy), "pictures": policy.picture_digest()}
    if len(files) == 1 and (files[0] / COMPLETE).is_file():
        shards = ExampleShards(files[0])
        if {name: shards.made_of[name] for name in maker} != maker:
            raise UsageError(f"data: the examples in {files[0]} were made for a checkpoint of another tokenizer")
        return shards
    made_of = {**maker, "files": [_file_digest(path) for path in files], "columns": columns.model_dump()}
    if (folder / COMPLETE).is_file():
        shards = ExampleShards(folder)
        if shards.made_of != made_of:
            raise UsageError(
                f"data: the examples in {folder} were made of other data, columns or another checkpoint; delete that "
                "folder to make them anew, or train into another one"
            )
        return shards
    _claim(folder, made_of)
    rows = islice(((path, line, row) for path in files for line, row in _rows(path)), rows_written(folder), None)
    return write_examples(folder, _examples(rows, policy, columns, batch_size), made_of)


def _claim(folder: Path, made_of: Mapping[str, object]) -> None:
    """Shards that were begun of something else are dropped: nothing was learned from them yet."""
    begun = folder / "begun.json"
    told = dump(made_of)
    if not begun.is_file() or begun.read_text("utf-8") != told:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_atomically(begun, told)


def _examples(
    rows: Iterator[tuple[Path, int, Row]], policy: Policy, columns: ColumnSettings, batch_size: int
) -> Iterator[SftExample]:
    encoder = None
    size = policy.grid.width, policy.grid.height
    for part, pixels in one_ahead(_batches(rows, columns, batch_size, size)):
        if pixels is not None and encoder is None:
            encoder = policy.picture_encoder()
        codes = iter(() if pixels is None or encoder is None else map(tuple, encoder(pixels).tolist()))
        for path, line, row in part:
            given = row.get(columns.image_tokens)
            image = next(codes) if given is None else _codes(given, columns.image_tokens, path, line)
            yield _example(path, line, row, policy, columns, image)


def _batches(
    rows: Iterator[tuple[Path, int, Row]], columns: ColumnSettings, batch_size: int, size: tuple[int, int]
) -> Iterator[tuple[list[tuple[Path, int, Row]], Tensor | None]]:
    """Rows side by side, and the pictures of those that have no tokens: uint8 [B, H, W, 3], None without any."""
    while part := list(islice(rows, batch_size)):
        pixels = [
            _pixels(path.parent / str(row.get(columns.image)), path, line, size)
            for path, line, row in part
            if row.get(columns.image_tokens) is None
        ]
        yield part, torch.stack(pixels) if pixels else None


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        for row in read_table(str(path)):
            yield row.line, {name: None if cell == "" else cell for name, cell in row.cells.items()}
    except UsageError as error:
        raise UsageError(f"data: {error}") from None


def _tokenizer_digest(policy: Policy) -> str:
    known = json.dumps(sorted(policy.tokenizer.get_vocab().items()))
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _file_digest(path: Path) -> list[str | int]:
    """Name, size, and a hash of beginning and end: a table of many GB is not read to see that it is the same."""
    digest, size = hashlib.sha256(), path.stat().st_size if path.is_file() else 0
    if size:
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(size - _ENDS, 0))
            digest.update(file.read(_ENDS))
    return [path.name, size, digest.hexdigest()[:16]]


def _pixels(picture: Path, path: Path, line: int, size: tuple[int, int]) -> Tensor:
    """The picture squashed to the model's width and height, uint8 [H, W, 3]."""
    try:
        image = open_picture(picture).resize(size, Image.Resampling.BICUBIC)
    except PictureError as error:
        raise DataError(f"the picture cannot be read: {error}", path=path, line=line) from None
    return torch.from_numpy(np.array(image))


def _example(
    path: Path, line: int, row: Row, policy: Policy, columns: ColumnSettings, image: tuple[int, ...]
) -> SftExample:
    prompt, chain = (_text(row, name, path, line) for name in (columns.prompt, columns.chain))
    if columns.coord is not None and row.get(columns.coord) is not None:
        chain = _filled_in(chain, row[columns.coord], columns.coord, path, line)
    expected, highest = policy.grid.tokens, policy.grid.codes - 1
    if len(image) != expected or not all(0 <= code <= highest for code in image):
        raise DataError(
            f"expected {expected} image tokens in 0..{highest}, got {len(image)} in {min(image)}..{max(image)}"
            if image
            else f"expected {expected} image tokens, got none",
            path=path,
            line=line,
        )
    return SftExample(tuple(policy.encode([prompt])[0]), tuple(policy.encode_chain(chain)), image)


def _filled_in(chain: str, coord: Any, column: str, path: Path, line: int) -> str:  # noqa: ANN401 - a cell
    """The chain with the values of `coord` in the place of its keys; longer keys first, since one may begin another."""
    if isinstance(coord, str):
        try:
            coord = json.loads(coord)
        except ValueError:
            coord = None
    if not isinstance(coord, dict) or not all(isinstance(value, str) for value in coord.values()):
        told = "expected an object from placeholders to texts, as JSON or as it is"
        raise DataError(f"{told}, under {column!r}", path=path, line=line)
    if missing := [key for key in coord if not key or key not in chain]:
        raise DataError(f"{column}: the chain has no placeholder {missing[0]!r}", path=path, line=line)
    keys = sorted(coord, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, keys)), lambda match: str(coord[match[0]]), chain) if keys else chain


def _codes(given: Any, column: str, path: Path, line: int) -> tuple[int, ...]:  # noqa: ANN401 - whatever a row holds
    codes = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(codes, list | tuple) or not all(type(code) is int for code in codes):
        told = json.dumps(codes, default=str)[:80]
        raise DataError(f"expected a list of whole numbers under {column!r}, got {told}", path=path, line=line)
    return tuple(codes)


def _text(row: Row, name: str, path: Path, line: int) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"expected a text under {name!r}, got {json.dumps(value, default=str)}", path=path, line=line)
    return value
