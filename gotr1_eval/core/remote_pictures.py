"""Pictures behind URLs: fetched for the length of a tile, and never kept.

A sample whose picture is behind a URL has no `image`; the URL is in its meta.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gotr1_eval.core.errors import one_line
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.types import Sample

IMAGE_URL = "image_url"
"""The key of a sample's meta that holds its picture's URL."""


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

    url = sample.meta.get(IMAGE_URL)
    if not isinstance(url, str):
        return sample
    files, path = fsspec.core.url_to_fs(url)
    target = folder / safe_name(url.rpartition("/")[2])
    folder.mkdir()
    with suppress(FileNotFoundError):
        target.write_bytes(files.cat_file(path))
    return replace(sample, image=target)
