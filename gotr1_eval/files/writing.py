"""Files that other processes, and those that come after a killed one, find whole.

Parquet is read and written by path, never through a Python file object: pandas opens the file in Python and hands it to
Arrow, whose own threads then hold it. One that lets go of it while the interpreter shuts down ends the process with
SIGABRT after all work is done (apache/arrow#34314).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gotr1_eval.core.errors import RunError, UsageError, writing
from gotr1_eval.core.secrets import redact

if TYPE_CHECKING:
    import pandas as pd


LOCK = ".lock"
"""The file of a run's folder that a writing process holds."""


def make_out_folder(folder: Path, what: str = "folder") -> None:
    """Make the folder that --out names; raises UsageError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot make the {what}: {error.strerror}") from None


def lock_folder(folder: Path) -> int:
    """Take a run's folder for this process, until the descriptor that comes back is closed, or the process ends.

    Raises:
        RunError: another process has it, or the folder cannot be written.
    """
    with writing(folder / LOCK):
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise RunError(
            f"{folder}: another process is writing to this run; wait for it or choose another --out"
        ) from None
    return lock


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content, redacted; a reader sees the old text or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    # Prompts and replies may hold lone surrogates, which UTF-8 cannot; a question mark stands for them in a page.
    with writing(path):
        partial.write_text(redact(text), encoding="utf-8", errors="replace")
        partial.replace(path)


def read_parquet(path: Path) -> pd.DataFrame:
    """The table of a Parquet file; OSError or ValueError (pyarrow's are both) where it is none."""
    from pyarrow import parquet

    return parquet.ParquetFile(path).read().to_pandas()  # type: ignore[no-any-return]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the table whole: a reader finds the old file or the new one."""
    from pyarrow import Table, parquet

    partial = path.with_name(path.name + ".partial")
    with writing(path):
        parquet.write_table(Table.from_pandas(frame), partial)
        partial.replace(path)


def write_ahead(database: sqlite3.Connection, patience_s: float) -> None:
    """Set the file's mode to write-ahead, so that readers and a writer do not wait for each other.

    SQLite waits for others everywhere but here, where several processes may begin one file at once.

    Args:
        patience_s: seconds until another process's lock is an error.

    Raises:
        sqlite3.Error: the mode cannot be set, or others hold the file for longer.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
