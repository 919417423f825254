"""The runs of a folder, and how far each of them is, told from a few small files of each.

A list must be there at once, whatever the runs hold: run.json says what was asked for, the table of scores (a column
of it is read without the others) what a finished run came to, and of a run that is being written only the lines that
came since the last look are counted.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError
from gotr1_eval.runs.store import RunInfo, read_info
from reports.run_data import run_title
from reports.run_page.training import is_training

LIVE_SECONDS = 120.0
"""A run whose files changed within this time and which is not complete counts as being written."""
COPYING_SECONDS = 10.0
"""By which a copied run's files may be out of order: the scores of a finished run are written last."""
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of the list.

    Attributes:
        name: the folder's path below the runs' folder, which identifies it.
        kind: ``run``, or ``training``.
        done, expected: samples that were made, and that were asked for; steps of a training.
        live: whether somebody seems to be writing it.
        means: judge's factor -> mean over all samples with a score, of a finished run.
        changed: seconds since the epoch.
        fault: why nothing else is known; empty where something is.
    """

    name: str
    kind: str
    title: str
    generator: str = ""
    suite: str = ""
    done: int = 0
    expected: int = 0
    live: bool = False
    means: Mapping[str, float] = field(default_factory=dict)
    changed: float = 0.0
    fault: str = ""

    def json(self) -> dict[str, Any]:
        """The row as JSON values."""
        return asdict(self)


class RunsFolder:
    """The runs below a folder.

    Args:
        root: is never written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lines: dict[Path, tuple[int, int]] = {}
        self._means: dict[Path, tuple[float, Mapping[str, float]]] = {}
        self._lock = threading.Lock()

    def folders(self) -> dict[str, Path]:
        """Name -> folder of every run and training, a training's evaluations behind it."""
        return {path.relative_to(self.root).as_posix(): path for path in _found(self.root, _DEEPEST)}

    def folder(self, name: str) -> Path:
        """The folder of a run by its name.

        Raises:
            DataError: there is no such run.
        """
        path = self.root / name
        inside = path.resolve().is_relative_to(self.root.resolve())
        if not inside or not ((path / "run.json").exists() or is_training(path)):
            raise DataError(f"no run {name[:200]!r} here", path=self.root)
        return path

    def rows(self, *, at_once: bool = False) -> list[RunRow]:
        """The list, those that changed last first.

        Args:
            at_once: means that have not been read yet are left out.
        """
        with self._lock:
            rows = [self._row(name, path, at_once=at_once) for name, path in self.folders().items()]
        return sorted(rows, key=lambda row: -row.changed)

    def evaluations(self, name: str) -> list[str]:
        """The held-out evaluations of a training run, in the order of its steps."""
        return [one for one in self.folders() if one.startswith(f"{name}/evaluations/")]

    def _row(self, name: str, path: Path, *, at_once: bool) -> RunRow:
        try:
            if is_training(path):
                return self._training(name, path)
            return self._run(name, path, read_info(path), at_once=at_once)
        except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return RunRow(name, "run", path.name, fault=str(error))

    def _run(self, name: str, path: Path, info: RunInfo, *, at_once: bool) -> RunRow:
        samples, scores = path / "samples.jsonl", path / "scores.parquet"
        setup: Mapping[str, Any] = info.setup
        expected = sum(int(count) for count in setup.get("expected", {}).values())
        changed = max(_changed(samples), _changed(path / "judgments.jsonl"))
        finished = scores.exists() and _changed(scores) >= changed - COPYING_SECONDS
        changed = changed or _changed(path / "run.json")
        done = self._count(samples)
        return RunRow(
            name, "run", run_title(info, path), str(setup.get("generator") or ""),
            str(info.identity.get("suite") or ""), done, expected,
            live=not finished and time.time() - changed < LIVE_SECONDS and not _let_go(path),
            means=self._mean(scores, setup, at_once=at_once) if finished else {}, changed=changed,
        )  # fmt: skip

    def _training(self, name: str, path: Path) -> RunRow:
        settings = json.loads((path / "training.json").read_text(encoding="utf-8"))
        metrics = path / "metrics.jsonl"
        changed = max(_changed(path / "training.json"), _changed(metrics))
        done, expected = self._count(metrics), int(settings["steps"])
        live = done < expected and time.time() - changed < LIVE_SECONDS
        ckpt = Path(str(settings.get("ckpt", ""))).name
        return RunRow(name, "training", path.name, ckpt, "", done, expected, live=live, changed=changed)

    def _count(self, path: Path) -> int:
        """Complete lines of a file that only grows; those that were counted before are not read again."""
        size = path.stat().st_size if path.exists() else 0
        read, lines = self._lines.get(path, (0, 0))
        if size < read:
            read, lines = 0, 0
        if size > read:
            with path.open("rb") as file:
                file.seek(read)
                while block := file.read(1 << 20):
                    lines += block.count(b"\n")
                    read += len(block)
            self._lines[path] = read, lines
        return lines

    def _mean(self, scores: Path, setup: Mapping[str, Any], *, at_once: bool) -> Mapping[str, float]:
        """Means of the judges' columns of a table of scores, read once for each state of the file."""
        changed = _changed(scores)
        known = self._means.get(scores)
        if known is not None and known[0] == changed:
            return known[1]
        if at_once:
            return {}
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        factors = {row["name"]: row["factor"] for row in setup["judges"]}
        there = set(pq.read_schema(scores).names)
        table = pq.read_table(scores, columns=[name for name in factors if name in there])
        found: dict[str, float] = {}
        for judge in table.column_names:
            value = pc.mean(pc.filter(table[judge], pc.invert(pc.is_nan(table[judge])))).as_py()
            if value is not None:
                found[factors[judge]] = value
        self._means[scores] = changed, found
        return found


def _let_go(folder: Path) -> bool:
    """Whether a run's lock is there and nobody holds it; where locks cannot be asked for, its files' age has to do."""
    try:
        with (folder / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _found(folder: Path, depth: int) -> Iterator[Path]:
    """Runs below a folder, by name; a run's own folders are looked into for evaluations alone."""
    try:
        entries = sorted((entry for entry in os.scandir(folder) if entry.is_dir()), key=lambda entry: entry.name)
    except OSError:
        return
    if (folder / "run.json").exists():
        yield folder
        return
    training = is_training(folder)
    if training:
        yield folder
    for entry in entries:
        if depth and not entry.name.startswith(".") and (not training or entry.name == "evaluations"):
            yield from _found(Path(entry.path), depth - 1)
