"""The benchmarks' prompt lists and metadata: whose they are, at which commit, and whether they are on this machine.

Nothing of them is part of this project. They are fetched once from their authors' repositories at a pinned commit, so
that everybody's run stands on the same prompts, checked against stated hashes, and read from the cache ever after. What
a benchmark fetches stands in the ``data.toml`` of its folder.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError, nearest_name
from gotr1_eval.core.plugins import BENCHMARKS
from gotr1_eval.files.downloading import cache_folder, download

STATED = "data.toml"
"""The file of a benchmark's folder that states these."""
MIRROR_VARIABLE = "GOTR1_DATA_MIRROR"
ORIGIN = "https://raw.githubusercontent.com"
"""Answers ``<base>/<repository>/<commit>/<path>``, as every mirror must that the variable names."""
_GIT_ID = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicData:
    """What one benchmark needs of its authors' repository.

    Attributes:
        key: the benchmark's suite, of a third party's its dotted name.
        what: the files in words.
        repository: on GitHub, ``owner/name``.
        licence: its short name, as the repository states it.
        files: path in the repository -> its sha256 (64 hex digits) or its id in git (40). The last parts of the paths
            are the names in `folder`.
    """

    key: str
    what: str
    repository: str
    commit: str
    licence: str
    files: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where the files are kept; another commit has another folder."""
        return cache_folder("data") / f"{self.key}-{self.commit[:12]}"

    @property
    def missing(self) -> list[str]:
        """Paths of the files that are not in `folder`, or not as they were published."""
        return [path for path, expected in self.files.items() if hash_fault(self.place(path), expected)]

    def place(self, path: str) -> Path:
        """Where a file of the repository is kept."""
        return self.folder / Path(path).name

    def url(self, path: str) -> str:
        """Its address, at $GOTR1_DATA_MIRROR where that is set."""
        base = os.environ.get(MIRROR_VARIABLE) or ORIGIN
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/{path}"


def known_data() -> tuple[PublicData, ...]:
    """What the benchmarks' folders state, by name; third parties' benchmarks are not among them.

    Raises:
        DataError: a ``data.toml`` is damaged.
    """
    folders = BENCHMARKS.folders().items()
    return tuple(_read(name.replace("_", "-"), folder) for name, folder in folders if (folder / STATED).is_file())


def public_data(key: str) -> PublicData:
    """The data of that benchmark, of a third party's by its dotted name.

    Raises:
        UsageError: there is none.
        DataError: its ``data.toml`` is damaged.
    """
    if "." in key and (folder := BENCHMARKS.folder(key)) and (folder / STATED).is_file():
        return _read(key, folder)
    known = {data.key: data for data in known_data()}
    if key not in known:
        raise UsageError(f"no data set named {key!r}{nearest_name(key, known)} (known: {', '.join(known)})")
    return known[key]


def _read(key: str, folder: Path) -> PublicData:
    path = folder / STATED
    try:
        return PublicData(key=key, **tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise DataError(f"expected what, repository, commit, licence and files ({error})", path=path) from None


def hash_fault(path: Path, expected: str) -> str:
    """What is wrong with a file in words: it is not there, or another one; empty when it is the one expected."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    kind, found = ("git id", git_blob(content)) if len(expected) == _GIT_ID else ("sha256", _sha256(content))
    return "" if found == expected else f"{kind} is {found[:12]}..., expected {expected[:12]}..."


def git_blob(content: bytes) -> str:
    """The id that git gives a file of this content, 40 hex digits: whoever has a clone can check a pin offline."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch_data(data: PublicData) -> list[str]:
    """Bring what is missing of a benchmark's data; each file appears only when it is whole and right.

    Returns:
        The paths that were brought.

    Raises:
        UsageError: the cache cannot be written.
        BackendError: no answer, no such file, or another file than expected.
    """
    missing = data.missing
    for path in missing:
        download(data.url(path), data.place(path), partial(hash_fault, expected=data.files[path]))
    return missing


def require_data(key: str, given: Path | None) -> Path:
    """The folder that the user gives, or else the one in the cache, whole and checked.

    Raises:
        UsageError: nothing is given and the cache lacks a file; says how to get it.
    """
    if given is not None:
        return given
    data = public_data(key)
    if missing := data.missing:
        raise UsageError(
            f"{key}: {len(missing)} of its {len(data.files)} files are not in {data.folder}; run "
            f"`gotr1-eval data fetch {key}` once, or name a copy of your own with --data DIR"
        )
    return data.folder
