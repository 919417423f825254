"""The raters' answers on disk: one that was acknowledged is there, whatever happens to the machine.

SQLite with a write-ahead log and `synchronous = FULL`: a commit returns when the log is on the disk. Answers are only
ever added; of several to one question the last one counts, so that taking an answer back loses nothing either. A
connection lives for one operation, so that threads need no care and several servers may share a study.

Which items a rater has, in which order, and which of a pair's pictures stands on the left, is decided and kept when the
rater begins. An answer about a pair is kept as it was clicked, 1 for the left picture, and turned when it is read.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.writing import write_ahead
from gotr1_eval.web.assignment import Assigned, Load, assign
from reports.agreement.ratings import Rating
from reports.agreement.study_folder import Study

FILE = "ratings.sqlite3"
_PATIENCE_S = 30.0
CANNOT: Literal["cannot"] = "cannot"
Value = float | Literal["cannot"] | None
"""A mark, "cannot judge", or None for an answer that was taken back."""
_NAME = re.compile(r"\w[\w .'-]{0,59}")
_TABLES = (
    "CREATE TABLE IF NOT EXISTS study (digest TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS raters (name TEXT PRIMARY KEY, shown TEXT NOT NULL, session TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS answers (
        place INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, rater TEXT NOT NULL REFERENCES raters (name),
        item TEXT NOT NULL, dimension TEXT NOT NULL, kind TEXT NOT NULL, mark REAL, seconds REAL NOT NULL,
        at TEXT NOT NULL, UNIQUE (rater, key)
    )""",
    """CREATE TABLE IF NOT EXISTS assignments (
        rater TEXT NOT NULL REFERENCES raters (name), item TEXT NOT NULL, place INTEGER NOT NULL,
        swapped INTEGER NOT NULL, PRIMARY KEY (rater, item)
    )""",
)
_LATEST = """
    SELECT item, dimension, kind, mark, seconds, at FROM answers
    WHERE place IN (SELECT MAX(place) FROM answers WHERE rater = ? GROUP BY item, dimension) ORDER BY place
"""
_ASSIGNED = "SELECT item, swapped FROM assignments WHERE rater = ? ORDER BY place"


class SessionTaken(Exception):  # noqa: N818 (a state of affairs, not a fault)
    """The rater has gone on in another window since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a rater said to one question.

    Attributes:
        value: about a pair 1 where the left picture is preferred, as it stood before the rater.
        key: made by the page once an answer, so that sending it again adds nothing.
        seconds: that the rater took.
    """

    key: str
    item: str
    dimension: str
    value: Value
    seconds: float


class RatingStore:
    """The answers to one study. Every method raises DataError when the file cannot be used.

    Raises:
        DataError: the file belongs to another study.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        """Makes the file where there is none."""
        self.path = folder / FILE
        self._study = study
        digest = _digest(study)
        with self._open() as database:
            write_ahead(database, _PATIENCE_S)
            for table in _TABLES:
                database.execute(table)
            database.execute("INSERT INTO study SELECT ? WHERE NOT EXISTS (SELECT 1 FROM study)", (digest,))
            there = database.execute("SELECT digest FROM study").fetchone()[0]
        if there != digest:
            raise DataError(
                "these answers belong to another study; its items or questions have changed", path=self.path
            )

    def is_known(self, name: str) -> bool:
        """Whether somebody of that name has begun."""
        with self._open() as database:
            found = database.execute("SELECT 1 FROM raters WHERE name = ?", (_folded(name),)).fetchone()
        return found is not None

    def begin(self, name: str) -> tuple[str, str]:
        """(name as first written, session): from now on this session alone may answer for the rater.

        Who is new gets items; so does who began before items were given out.

        Raises:
            UsageError: all items have their raters.
        """
        session = secrets.token_urlsafe(16)
        rater = _folded(name)
        statement = "INSERT INTO raters VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET session = excluded.session"
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(statement, (rater, tidy_name(name), session))
            if database.execute("SELECT 1 FROM assignments WHERE rater = ?", (rater,)).fetchone() is None:
                given = assign(self._study, rater, _loads(database, self._study))
                rows = [(rater, one.item, place, one.swapped) for place, one in enumerate(given)]
                database.executemany("INSERT INTO assignments VALUES (?, ?, ?, ?)", rows)
            row = database.execute("SELECT shown FROM raters WHERE name = ?", (rater,)).fetchone()
        return str(row[0]), session

    def assigned(self, name: str) -> list[Assigned]:
        """The rater's items in the rater's own order; none where the rater has not begun."""
        with self._open() as database:
            rows = database.execute(_ASSIGNED, (_folded(name),)).fetchall()
        return [Assigned(item, bool(swapped)) for item, swapped in rows]

    def save(self, session: str, answer: Answer) -> None:
        """Add an answer; when this returns it is on the disk.

        Raises:
            SessionTaken: the rater goes on elsewhere.
            UsageError: the item is another rater's.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        kind = "mark" if isinstance(answer.value, float) else "taken back" if answer.value is None else CANNOT
        mark = answer.value if isinstance(answer.value, float) else None
        row = (answer.key, answer.item, answer.dimension, kind, mark, answer.seconds, at)
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            rater = database.execute("SELECT name FROM raters WHERE session = ?", (session,)).fetchone()
            if rater is None:
                raise SessionTaken
            own = "SELECT 1 FROM assignments WHERE rater = ? AND item = ?"
            if database.execute(own, (rater[0], answer.item)).fetchone() is None:
                raise UsageError("this item is not among those that you were given")
            columns = "rater, key, item, dimension, kind, mark, seconds, at"
            database.execute(f"INSERT OR IGNORE INTO answers ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rater + row)

    def answers(self, name: str) -> dict[tuple[str, str], Value]:
        """(item, dimension) -> what counts, as it was clicked; what was taken back is absent."""
        with self._open() as database:
            rows = database.execute(_LATEST, (_folded(name),)).fetchall()
        return {
            (item, dimension): CANNOT if kind == CANNOT else mark
            for item, dimension, kind, mark, _, _ in rows
            if kind != "taken back"
        }

    def ratings(self) -> list[Rating]:
        """Everything that counts, by rater in the order of beginning; "cannot judge" is a rating without a value."""
        sides = {item.item: item.pair for item in self._study.items}
        found = []
        with self._open() as database:
            for name, shown in database.execute("SELECT name, shown FROM raters ORDER BY rowid").fetchall():
                swapped = dict(database.execute(_ASSIGNED, (name,)).fetchall())
                for item, dimension, kind, mark, seconds, at in database.execute(_LATEST, (name,)):
                    if kind == "taken back":
                        continue
                    pair, turned = sides.get(item), bool(swapped.get(item))
                    found.append(
                        Rating(
                            item=item,
                            rater=shown,
                            dimension=dimension,
                            value=1.0 - mark if turned and mark is not None else mark,
                            seconds=seconds,
                            timestamp=at,
                            sides=(pair[1], pair[0]) if pair and turned else pair,
                        )
                    )
        return found

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are on the disk when the block has ended well, and nowhere when it has not."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE_S)) as database, database:
                database.execute("PRAGMA synchronous = FULL")
                yield database
        except sqlite3.Error as error:
            raise DataError(f"the answers cannot be kept or read: {one_line(error)}", path=self.path) from None


def tidy_name(name: str) -> str:
    """A rater's name as it is shown and exported.

    Raises:
        UsageError: it is empty, too long, or holds more than letters, digits, spaces and ``. ' - _``.
    """
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if not _NAME.fullmatch(tidy):
        raise UsageError("a name has 1 to 60 letters, digits, spaces, or . ' - _, and begins with a letter or digit")
    return tidy


def _folded(name: str) -> str:
    """What decides whether two names are one rater: "ann" is "Ann"."""
    return tidy_name(name).casefold()


def _loads(database: sqlite3.Connection, study: Study) -> dict[str, Load]:
    """How many raters each item has been given to, and how many have finished it."""
    given = Counter(item for (item,) in database.execute("SELECT item FROM assignments"))
    answered: Counter[tuple[str, str]] = Counter()
    for (name,) in database.execute("SELECT name FROM raters").fetchall():
        latest = database.execute(_LATEST, (name,)).fetchall()
        answered.update((name, item) for item, _, kind, *_ in latest if kind != "taken back")
    questions = {item.item: len(study.dimensions_of(item)) for item in study.items}
    finished = Counter(item for (_, item), count in answered.items() if count >= questions.get(item, 0))
    return {item.item: Load(given[item.item], finished[item.item]) for item in study.items}


def _digest(study: Study) -> str:
    """Changes with everything that gives an answer its meaning."""
    asked = [[one.name, one.rubric, one.low, one.high, one.step] for one in study.dimensions]
    shown = [[item.item, item.prompt, item.chain, item.image] for item in study.items]
    pairs = [[item.item, item.other_image] for item in study.items if item.pair]
    meaning = [study.seed, asked, shown, *([pairs] if pairs else [])]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()
