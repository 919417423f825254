"""The files of other people that official numbers stand on: which, from where, and whether they are on this machine.

Nothing of them is part of this project. Where they are is said in ``official_files.toml``; which of them a benchmark
needs, in the ``weights.toml`` of its folder.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from gotr1_eval.core.errors import DataError, MissingWeightsError, UsageError, nearest_name
from gotr1_eval.core.plugins import BENCHMARKS
from gotr1_eval.files.downloading import cache_folder

FOLDER_VARIABLE = "GOTR1_EVAL_WEIGHTS"
STATED = "weights.toml"
"""The file of a benchmark's folder that says what it needs, and adds files of its own."""
_TABLE = Path(__file__).with_suffix(".toml")
_CHECKPOINTS = (b"PK", b"\x80")
"""How torch's files begin, today's and those of its first years; a page that says "not found" does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """One file that somebody else publishes.

    Attributes:
        key: what it is called here.
        names: of the file, the usual one first; any of them is recognised.
        made_for: which benchmarks' official numbers need it, and for what.
        host: where its authors, or the benchmark's, keep it.
        url: a plain address that answers with the file; None where a person has to click or another tool is needed.
        by_hand: how to get it then, into ``{folder}``.
        on_hub: it is a repository of the Hugging Face hub, fetched from there and kept in the hub's own cache.
        tokenizer_only: of that repository only the tokenizer is needed.
        hash_start: the first hex digits of its sha256, as its name states them; None where nobody states any.
        is_text: it is source text that somebody's words are read from, and no checkpoint.
        instead_of: key of the file that this one, of the same weights, does as well as; None for the usual ones.
    """

    key: str
    names: tuple[str, ...]
    made_for: Mapping[str, str]
    host: str
    url: str | None = None
    by_hand: str = ""
    on_hub: bool = False
    tokenizer_only: bool = False
    hash_start: str | None = None
    is_text: bool = False
    instead_of: str | None = None

    @property
    def name(self) -> str:
        """The usual name of the file."""
        return self.names[0]


def known_files(*others: str) -> tuple[OfficialFile, ...]:
    """Those of ``official_files.toml``, and those that benchmarks add, with what the benchmarks say they are made for.

    Args:
        others: third parties' benchmarks, by their dotted names, whose files are to be known, too.

    Raises:
        UsageError: no benchmark of such a name.
        DataError: a benchmark's ``weights.toml`` is damaged, or names a file that is in no table.
    """
    shipped = (folder / STATED for folder in BENCHMARKS.folders().values())
    return _read((_TABLE, *shipped, *map(_stated_by, others)))


def keys_of(benchmark: str) -> tuple[str, ...]:
    """The files that a third party's benchmark says it needs; none where it says nothing.

    Raises:
        UsageError: no benchmark of this dotted name.
    """
    path = _stated_by(benchmark)
    known_files(benchmark)  # tells what is wrong with the table
    table = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return tuple(dict.fromkeys([*(file["key"] for file in table.get("files", ())), *table.get("made_for", {})]))


def _stated_by(benchmark: str) -> Path:
    folder = BENCHMARKS.folder(benchmark)
    if folder is None:
        raise UsageError(f"weights: no benchmark {benchmark!r} is installed")
    return folder / STATED


@lru_cache(maxsize=8)
def _read(paths: tuple[Path, ...]) -> tuple[OfficialFile, ...]:
    """The files of several tables, the uses that later ones state before their own."""
    found: dict[str, OfficialFile] = {}
    uses: dict[str, dict[str, str]] = {}
    for path in filter(Path.is_file, paths):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            added = [
                OfficialFile(**{"made_for": {}, **row, "names": (*row["names"],)}) for row in table.get("files", ())
            ]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, KeyError) as error:
            raise DataError(f"expected files with key, names and host ({error})", path=path) from None
        found |= {file.key: file for file in added}
        for key, made_for in table.get("made_for", {}).items():
            if key not in found:
                raise DataError(f"made_for: no file {key!r}{nearest_name(key, found)}", path=path)
            uses.setdefault(key, {}).update(made_for)
    return tuple(replace(file, made_for={**uses.get(key, {}), **file.made_for}) for key, file in found.items())


def known_uses() -> tuple[str, ...]:
    """The benchmarks, categories and judges that some file is made for."""
    return tuple(dict.fromkeys(name for file in known_files() for name in file.made_for))


def official_file(key: str, *others: str) -> OfficialFile:
    """The file of that key, which must exist, as `known_files` knows it."""
    return next(file for file in known_files(*others) if file.key == key)


def interchangeable(file: OfficialFile) -> tuple[OfficialFile, ...]:
    """The other files that hold the same weights."""
    role = file.instead_of or file.key
    return tuple(other for other in known_files() if other.key != file.key and role in (other.key, other.instead_of))


def weights_folder() -> Path:
    """Where files are kept and looked for when nothing else is said: $GOTR1_EVAL_WEIGHTS, or a folder of the cache."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else cache_folder("weights")


def find_file(file: OfficialFile, folder: Path) -> Path | None:
    """The file in a folder, under any of its names, or the repository in the hub's cache; None where there is none."""
    if file.on_hub:
        from huggingface_hub import try_to_load_from_cache

        kept = try_to_load_from_cache(file.name, "config.json")
        there = Path(kept).parent if isinstance(kept, str) else None
        whole = there is not None and (
            file.tokenizer_only or any(there.glob("*.safetensors")) or any(there.glob("*.bin"))
        )
        return there if whole else None
    return next((folder / name for name in file.names if (folder / name).is_file()), None)


def find_interchangeable(file: OfficialFile, folder: Path) -> Path | None:
    """The file, or else one of the same weights; None where there is neither."""
    return next((path for one in (file, *interchangeable(file)) if (path := find_file(one, folder))), None)


def require_file(file: OfficialFile, what: str, given: Path | None) -> Path:
    """The path that a setting gives, or else the file in `weights_folder`.

    Raises:
        UsageError: the given one is not there.
        MissingWeightsError: there is none in the folder; says where it was looked for and how to get it.
    """
    if given is not None:
        if not given.expanduser().is_file():
            raise UsageError(f"{what}: no file {given}; expected {file.name} ({how_to_get(file)})")
        return given.expanduser()
    found = find_file(file, weights_folder())
    if found is None:
        raise MissingWeightsError(
            f"{what}: no {file.name} in {weights_folder()}; give its path, or: {how_to_get(file)}"
        )
    return found


def how_to_get(file: OfficialFile, folder: Path | None = None) -> str:
    """The command that brings the file into a folder, the usual one if none is named."""
    usual = weights_folder()
    if file.on_hub:
        return f"gotr1-eval weights {file.key} --download"
    if not file.url:
        return file.by_hand.format(folder=folder or usual)
    elsewhere = "" if folder in (None, usual) else f" --weights '{folder}'"
    return f"gotr1-eval weights {file.key} --download{elsewhere}"


def file_fault(file: OfficialFile, path: Path) -> str:
    """What is wrong with a file, in words; empty when nothing is, as far as that is known."""
    if file.on_hub:
        return ""
    with path.open("rb") as content:
        begins = content.read(9)
    is_checkpoint = begins[8:] == b"{" if ".safetensors" in path.name else begins.startswith(_CHECKPOINTS)
    if not file.is_text and not is_checkpoint:
        return f"no checkpoint: it begins with {begins[:2]!r}"
    found = file_sha256(path) if file.hash_start else ""
    return "" if found.startswith(file.hash_start or "") else f"sha256 begins with {found[:8]}, not {file.hash_start}"


def file_sha256(path: Path) -> str:
    """The whole file's sha256 in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
