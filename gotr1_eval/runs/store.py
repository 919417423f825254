"""The run folder: what was asked for, what was made, what was judged.

    run.json         resolved settings, versions, fingerprints, expected counts
    samples.jsonl    one line a sample
    judgments.jsonl  one line a judgment
    images/          the pictures

These are the truth; everything else in a run folder is derived and may be deleted. Work is cut into fixed
tiles and a tile's lines are appended in one write, so that a run killed at any moment and started again ends with the
same samples and judgments as one that was never interrupted, at the cost of at most one tile done twice.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from PIL import Image

from gotr1_eval.core.errors import DataError, UsageError, one_line, writing
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.core.secrets import redacted_json
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import append_rows, cut_torn_line, read_rows
from gotr1_eval.files.writing import LOCK, lock_folder, make_out_folder, write_atomically
from gotr1_eval.runs.judgments import Judgment, judgment_row, read_judgment, read_sample, sample_row

FORMAT = 1
KEPT = "cost"
"""What of a run's setup is added up over its resumes, see `gotr1_eval.runs.costs`."""
Key = tuple[str, str, str, int]
"""Of a judgment, see `gotr1_eval.runs.judgments.Judgment.key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The content of run.json.

    Attributes:
        identity: what decides the samples; a resume must agree with all of it.
        setup: everything else worth knowing (versions, judges and their fingerprints, the command line).
    """

    identity: Mapping[str, Json]
    setup: Mapping[str, Json]


class Store(Protocol):
    """Where samples and judgments are read and committed: a run's JSON lines, or one Parquet part of a run."""

    @property
    def folder(self) -> Path:
        """The run folder, which holds the pictures."""
        ...

    def samples(self) -> dict[str, Sample]:
        """Every sample that was made, by id."""
        ...

    def judgments(self) -> dict[Key, Judgment]:
        """Every judgment by key."""
        ...

    def append_samples(self, samples: Iterable[Sample]) -> None:
        """Commit one tile of samples; their pictures must have been saved."""
        ...

    def append_judgments(self, judgments: Iterable[Judgment]) -> None:
        """Commit one tile of judgments."""
        ...


class RunStore:
    """The JSON lines of a run folder, open for writing by this process alone; a `Store`.

    Use as a context manager; `RunStore.open` creates the folder or resumes it.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def open(cls, folder: Path, info: RunInfo, grown_from: Mapping[str, Json] | None = None) -> RunStore:
        """Create the run, or resume it when the folder holds one with the same identity.

        Args:
            grown_from: another identity with which it may be resumed, see `gotr1_eval.runs.job`.

        Raises:
            UsageError: the folder holds another run (one line says what differs), or something else.
            RunError: another process is writing to it.
        """
        folder = folder.absolute()
        _make_folder(folder)
        lock = lock_folder(folder)
        try:
            if (folder / "run.json").exists():
                there = read_info(folder)
                if grown_from is None or there.identity != grown_from:
                    _check_same(there, info, folder)
            write_info(folder, info)
            for name in ("samples.jsonl", "judgments.jsonl"):
                cut_torn_line(folder / name)
        except BaseException:
            os.close(lock)
            raise
        return cls(folder, lock)

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def describe(self, info: RunInfo) -> None:
        """Write the run's description anew, when more is known than at the start."""
        write_info(self.folder, info)

    def samples(self) -> dict[str, Sample]:
        """Every sample by id; of several lines with one id the last counts."""
        return read_samples(self.folder)

    def judgments(self) -> dict[Key, Judgment]:
        """Every judgment by key; of several lines with one key the last counts."""
        return read_judgments(self.folder)

    def append_samples(self, samples: Iterable[Sample]) -> None:
        """Commit one tile of samples; their pictures must have been saved."""
        append_rows(self.folder / "samples.jsonl", [sample_row(sample, self.folder) for sample in samples])

    def append_judgments(self, judgments: Iterable[Judgment]) -> None:
        """Commit one tile of judgments."""
        append_rows(self.folder / "judgments.jsonl", [judgment_row(judgment) for judgment in judgments])


def image_path(run: Path, sample_id: str) -> Path:
    """Where the sample's picture belongs: inside the run's images/, whatever the id holds."""
    *folders, name = sample_id.split("/")
    return run.joinpath("images", *map(safe_name, folders), f"{safe_name(name)}.png")


def save_image(run: Path, sample_id: str, image: Image.Image) -> Path:
    """Write the sample's picture; a reader never sees half of it."""
    path = image_path(run, sample_id)
    partial = path.with_suffix(".partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(partial, format="PNG")
        partial.replace(path)
    return path


def save_bytes(run: Path, sample_id: str, data: bytes, suffix: str) -> Path:
    """Write the sample's picture as it came, under the ending that its own name had."""
    path = image_path(run, sample_id)
    path = path.with_suffix(suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", suffix) else ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return path


def tiles(items: Sequence[Any], size: int, anew: Sequence[int] = ()) -> list[Sequence[Any]]:
    """Fixed consecutive pieces of a plan; the cut depends on the plan alone, never on what is done already.

    Args:
        anew: places where a piece ends and the cut begins again.
    """
    ends = [*(place for place in anew if place < len(items)), len(items)]
    starts = [0, *ends[:-1]]
    return [
        items[start : min(start + size, end)]
        for first, end in zip(starts, ends, strict=True)
        for start in range(first, end, size)
    ]


def read_info(folder: Path) -> RunInfo:
    """The content of a run's run.json.

    Raises:
        DataError: there is none, or it is not one of ours.
    """
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataError(f"run format {content['format']}, this version reads {FORMAT}", path=path)
        return RunInfo(identity=content["identity"], setup=content["setup"])
    except OSError as error:
        raise DataError(f"not a run folder: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a run description ({one_line(error)})", path=path) from None


def read_samples(folder: Path) -> dict[str, Sample]:
    """Samples of a run by id, in order of first appearance.

    Raises:
        DataError: a line is not a sample; names file and line.
    """
    folder = folder.absolute()
    found: dict[str, Sample] = {}
    for number, row in _rows(folder / "samples.jsonl"):
        try:
            sample = read_sample(row, folder)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a sample ({error!r})", path=folder / "samples.jsonl", line=number) from None
        found[sample.id] = sample
    return found


def read_judgments(folder: Path) -> dict[Key, Judgment]:
    """Judgments of a run by key, in order of first appearance.

    Raises:
        DataError: a line is not a judgment; names file and line.
    """
    found: dict[Key, Judgment] = {}
    for number, row in _rows(folder / "judgments.jsonl"):
        try:
            judgment = read_judgment(row)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a judgment ({error!r})", path=folder / "judgments.jsonl", line=number) from None
        found[judgment.key] = judgment
    return found


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    return read_rows(path) if path.exists() else ()


def _make_folder(folder: Path) -> None:
    make_out_folder(folder, "run folder")
    others = [path.name for path in folder.iterdir() if path.name not in (LOCK, "run.json", ".run.json.partial")]
    if others and not (folder / "run.json").exists():
        raise UsageError(f"--out {folder}: the folder is not empty and holds no run ({others[0]}, ...); choose another")


def write_info(folder: Path, info: RunInfo) -> None:
    """Write run.json in one piece; what the run has cost stays where the new description does not know it."""
    setup = dict(info.setup)
    if KEPT not in setup and (folder / "run.json").exists() and KEPT in (there := read_info(folder).setup):
        setup[KEPT] = there[KEPT]
    content = {"format": FORMAT, "identity": dict(info.identity), "setup": setup}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "run.json", f"{text}\n")


_OPTIONS = {
    "suite": "--suite",
    "categories": "--categories",
    "images_per_prompt": "--images-per-prompt",
    "limit": "--limit",
    "seed": "--seed",
    "tile": "--tile",
    "shard": "--shard",
    "guidance": "--guidance",
    "chain_cap": "--chain-cap",
    "source": "the folder or table",
}
"""What the parts of a run's identity are called where they are asked for."""


def _check_same(there: RunInfo, wanted: RunInfo, folder: Path) -> None:
    # What was written is redacted, so that only what is left of both can be compared.
    asked = redacted_json(wanted.identity)
    differing = [key for key in dict.fromkeys([*there.identity, *asked]) if there.identity.get(key) != asked.get(key)]
    # A digest follows from the settings beside it, and is named by what it stands for where it alone has changed.
    named = [key for key in differing if key not in ("plan", "pictures", "grown")]
    facts = [_change(_OPTIONS.get(key, key), there.identity.get(key), asked.get(key)) for key in named]
    if "pictures" in differing and there.setup.get("generator") != wanted.setup.get("generator"):
        facts.append(_change("the generator", there.setup.get("generator"), wanted.setup.get("generator")))
    if differing and not facts:
        facts.append(_changed_samples(differing, there, wanted))
    if facts:
        raise UsageError(
            f"{folder} holds a run with other settings ({'; '.join(facts)}); choose another --out or delete it"
        )


def _changed_samples(differing: Sequence[str], there: RunInfo, wanted: RunInfo) -> str:
    """What has changed though every option is the same."""
    if "plan" not in differing:
        return "its pictures, or the generator's weights or settings, are no longer the same"
    old, new = (info.setup.get("prompts") for info in (there, wanted))
    lists = (old, new) if isinstance(old, dict) and isinstance(new, dict) else ({}, {})
    names = [name for name in dict.fromkeys([*lists[0], *lists[1]]) if lists[0].get(name) != lists[1].get(name)]
    if names:
        return f"the prompts of {', '.join(names)} are no longer the same"
    return "the prompts are the same, but a picture, a chain or another fact of them is not"


def _change(what: str, there: Json, wanted: Json) -> str:
    return f"{what} was {one_line(json.dumps(there), 80)}, now {one_line(json.dumps(wanted), 80)}"
