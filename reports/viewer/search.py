"""Full text over the prompts and chains of all runs: SQLite's FTS5 in the cache folder, so that runs may be read-only.

The index follows the runs: of a file that has grown only the new lines are read, one that was written anew is indexed
anew, and runs that are gone leave it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import RunError
from gotr1_eval.files.downloading import cache_folder
from reports.viewer.runs_folder import RunsFolder

VERSION = 1
BATCH = 2000
"""Samples that are committed at once."""
_TABLES = """
CREATE TABLE IF NOT EXISTS files (run TEXT PRIMARY KEY, number INTEGER UNIQUE, read INTEGER, inode INTEGER);
CREATE TABLE IF NOT EXISTS places (id INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER, sample TEXT, prompt TEXT);
CREATE INDEX IF NOT EXISTS by_run ON places (number);
CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5 (prompt, chain, content = '', detail = none);
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample that a search found."""

    run: str
    sample: str
    prompt: str


class SearchIndex:
    """The index of one folder of runs.

    Args:
        folder: of the index; by default below the user's cache.

    Raises:
        RunError: the index cannot be written.
    """

    def __init__(self, runs: RunsFolder, folder: Path | None = None) -> None:
        self._runs = runs
        folder = folder or cache_folder("viewer")
        name = hashlib.sha256(f"{VERSION}\n{runs.root}".encode()).hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(folder / f"{name}.sqlite", check_same_thread=False, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise RunError(
                f"{folder}: cannot write the index of the runs: {error}; name another with GOTR1_CACHE"
            ) from None
        self._lock = threading.Lock()

    def update(self, report: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Bring the index up to the runs as they are.

        Args:
            report: is told how many bytes are read, and how many there are to read.
        """
        folders = {name: path / "samples.jsonl" for name, path in self._runs.folders().items()}
        known = {run: (number, read, inode) for run, number, read, inode in self._all("SELECT * FROM files")}
        for run in known.keys() - folders.keys():
            self._forget(run)
        waiting = []
        for run, path in folders.items():
            if not path.exists():
                continue
            stat, (_, read, inode) = path.stat(), known.get(run, (0, 0, 0))
            if inode != stat.st_ino or stat.st_size < read:
                self._forget(run)
                read = 0
            if stat.st_size > read:
                waiting.append((run, path, read, stat.st_size - read))
        total, done = sum(size for *_, size in waiting), 0
        for run, path, read, _ in waiting:
            for piece in self._add(run, path, read):
                done += piece
                report(done, total)

    def _add(self, run: str, path: Path, read: int) -> Iterator[int]:
        """Index a file from a place on; the bytes of each batch."""
        number = self._number(run)
        with path.open("rb") as file:
            file.seek(read)
            inode = path.stat().st_ino
            while lines := file.readlines(BATCH * 1000):
                if not lines[-1].endswith(b"\n"):
                    lines.pop()  # it is being written
                    if not lines:
                        return
                size = sum(map(len, lines))
                read += size
                file.seek(read)
                rows = [json.loads(line) for line in lines]
                with self._lock:
                    self._base.execute("BEGIN")
                    (last,) = self._base.execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence").fetchone()
                    first = last + 1
                    places = (
                        (first + at, number, _held(row["id"]), _held(row["prompt"])) for at, row in enumerate(rows)
                    )
                    self._base.executemany("INSERT INTO places VALUES (?, ?, ?, ?)", places)
                    texts = (
                        (first + at, _held(row["prompt"]), _held(row["chain"] or "")) for at, row in enumerate(rows)
                    )
                    self._base.executemany("INSERT INTO texts (rowid, prompt, chain) VALUES (?, ?, ?)", texts)
                    self._base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (run, number, read, inode))
                    self._base.execute("COMMIT")
                yield size

    def _number(self, run: str) -> int:
        found = self._all("SELECT number FROM files WHERE run = ?", run)
        return int(found[0][0]) if found else int(self._all("SELECT COALESCE(MAX(number), 0) + 1 FROM files")[0][0])

    def _forget(self, run: str) -> None:
        with self._lock:
            self._base.execute("BEGIN")
            # Texts stay behind: this kind of table cannot drop them, and no place leads to them any more.
            self._base.execute("DELETE FROM places WHERE number = (SELECT number FROM files WHERE run = ?)", (run,))
            self._base.execute("DELETE FROM files WHERE run = ?", (run,))
            self._base.execute("COMMIT")

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._base.execute(query, values).fetchall()

    def search(self, words: str, most: int = 100) -> tuple[list[Hit], bool]:
        """Samples with every word in prompt or chain (``drag*``: one that begins so), and whether there are more."""
        terms = [f'"{word}"{star}' for word, star in re.findall(r"(\w+)(\*?)", words)]
        if not terms:
            return [], False
        query = (
            "SELECT files.run, places.sample, places.prompt FROM texts JOIN places ON places.id = texts.rowid "
            "JOIN files ON files.number = places.number WHERE texts MATCH ? LIMIT ?"
        )
        found = self._all(query, " AND ".join(terms), most + 1)
        return [Hit(*map(str, row)) for row in found[:most]], len(found) > most

    def close(self) -> None:
        """Close the file."""
        self._base.close()


def _held(text: str) -> str:
    """Text without the lone surrogates that SQLite cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
