"""SQLite files that several processes use at once."""

from __future__ import annotations

import sqlite3
import time


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
