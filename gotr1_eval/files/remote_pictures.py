"""Pictures behind URLs: fetched for the length of a tile, and never kept.

A sample whose picture is behind a URL has no `image`; the URL is in its meta. Whatever a URL names, no more than
`MOST_BYTES` are read of it, and of this machine only ordinary files are: not a device without an end, nor a pipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from gotr1_eval.core.errors import one_line
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.types import Sample

IMAGE_URL = "image_url"
"""The key of a sample's meta that holds its picture's URL."""
EMBEDDED = "embedded_picture"
"""The key that says where in a Parquet file the picture's bytes are: file, row, column and the picture's own name."""
PICTURE_REMARKS = "picture_remarks"
"""The key that holds what is odd about the picture."""
NOT_MADE = "picture_not_made"
"""The key that says why the generator made no picture: ``{"why": ..., "detail": ...}``, as of an `Unscored`."""
OWN_KEYS = (IMAGE_URL, EMBEDDED, PICTURE_REMARKS, NOT_MADE)
"""Names in a sample's meta by which pictures are found: what others say about a prompt must not have them."""
MOST_BYTES = 256 << 20
"""Bytes of a fetched picture."""
BLOCK = 1 << 20


@dataclass(slots=True)
class AtHand:
    """Samples whose pictures are files, and what stands for those that could not be fetched.

    A picture that is not there is a file that does not exist, which judges report themselves.
    """

    samples: list[Sample] = field(default_factory=list)
    lost: dict[str, Unscored] = field(default_factory=dict)


@contextmanager
def at_hand(samples: Sequence[Sample]) -> Iterator[AtHand]:
    """The samples with pictures that are behind URLs in temporary files, in order."""
    if not any(IMAGE_URL in sample.meta for sample in samples):
        yield AtHand(list(samples))
        return
    with TemporaryDirectory(prefix="gotr1-pictures-") as folder:
        found = AtHand()
        for place, sample in enumerate(samples):
            try:
                found.samples.append(_fetched(sample, Path(folder, str(place))))
            except (OSError, ValueError, ImportError) as error:
                found.samples.append(sample)
                detail = f"{sample.meta[IMAGE_URL]}: {one_line(error)}"
                found.lost[sample.id] = Unscored(why=Why.BACKEND, detail=detail)
        yield found


def _fetched(sample: Sample, folder: Path) -> Sample:
    """The sample with its picture in the folder, where it is behind a URL and is there."""
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    url = sample.meta.get(IMAGE_URL)
    if not isinstance(url, str):
        return sample
    _check_ordinary(url)
    files, path = fsspec.core.url_to_fs(url)
    if isinstance(files, LocalFileSystem):
        return replace(sample, image=Path(path))
    target = folder / safe_name(url.rpartition("/")[2])
    folder.mkdir()
    with suppress(FileNotFoundError), files.open(path, "rb") as file:
        _copy(file, target)
    return replace(sample, image=target)


def _copy(file: IO[bytes], target: Path) -> None:
    """Raises ValueError for more than `MOST_BYTES`."""
    size = 0
    with target.open("wb") as copied:
        while block := file.read(BLOCK):
            size += len(block)
            if size > MOST_BYTES:
                raise ValueError(f"more than the {MOST_BYTES} bytes that a picture may have")
            copied.write(block)


def _check_ordinary(url: str) -> None:
    """Raises ValueError where a URL, or the last of a chain of them, names something local that is no file."""
    scheme, separator, path = url.rpartition("::")[2].rpartition("://")
    local = Path(path)
    if (not separator or scheme in ("file", "local")) and local.exists() and not local.is_file():
        raise ValueError("a folder, a pipe or a device, not a file")
