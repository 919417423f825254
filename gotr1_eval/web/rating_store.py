"""What a rater is shown, and the answers on disk: one that was acknowledged is there, whatever happens to the machine.

Of an item nothing is shown of the model, the judges, or the names that they gave it.

SQLite with a write-ahead log and `synchronous = FULL`: a commit returns when the log is on the disk. Answers are only
ever added; of several to one question the last one counts, so that taking an answer back loses nothing either. A
connection lives for one operation, so that threads need no care and several servers may share a study.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from gotr1_eval.core.canvas import draw_plan, hex_colour
from gotr1_eval.core.chain import Chain, parse_chain
from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.pictures import PictureError, open_picture
from gotr1_eval.files.writing import write_ahead
from reports.agreement.study_folder import Item, Rating, Study, picture_path

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
)
_LATEST = """
    SELECT item, dimension, kind, mark, seconds, at FROM answers
    WHERE place IN (SELECT MAX(place) FROM answers WHERE rater = ? GROUP BY item, dimension) ORDER BY place
"""
PLAN_SIDE = 768
PLAN_LABELS = 2.0
"""Size of the names on the frames: the page shows the canvas smaller than a judge sees it."""
_MARKER = re.compile(r"<\|(?:obj|box)_(?:start|end)\|>")


class SessionTaken(Exception):  # noqa: N818 (a state of affairs, not a fault)
    """The rater has gone on in another window since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a rater said to one question.

    Attributes:
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
        """(name as first written, session): from now on this session alone may answer for the rater."""
        session = secrets.token_urlsafe(16)
        statement = "INSERT INTO raters VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET session = excluded.session"
        with self._open() as database:
            database.execute(statement, (_folded(name), tidy_name(name), session))
            row = database.execute("SELECT shown FROM raters WHERE name = ?", (_folded(name),)).fetchone()
        return str(row[0]), session

    def save(self, session: str, answer: Answer) -> None:
        """Add an answer; when this returns it is on the disk.

        Raises:
            SessionTaken: the rater goes on elsewhere.
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
            columns = "rater, key, item, dimension, kind, mark, seconds, at"
            database.execute(f"INSERT OR IGNORE INTO answers ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rater + row)

    def answers(self, name: str) -> dict[tuple[str, str], Value]:
        """(item, dimension) -> what counts; what was taken back is absent."""
        with self._open() as database:
            rows = database.execute(_LATEST, (_folded(name),)).fetchall()
        return {
            (item, dimension): CANNOT if kind == CANNOT else mark
            for item, dimension, kind, mark, _, _ in rows
            if kind != "taken back"
        }

    def ratings(self) -> list[Rating]:
        """Everything that counts, by rater in the order of beginning; "cannot judge" is a rating without a value."""
        found = []
        with self._open() as database:
            for name, shown in database.execute("SELECT name, shown FROM raters ORDER BY rowid").fetchall():
                for item, dimension, kind, mark, seconds, at in database.execute(_LATEST, (name,)):
                    if kind != "taken back":
                        found.append(
                            Rating(
                                item=item, rater=shown, dimension=dimension, value=mark, seconds=seconds, timestamp=at
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


def order_for(study: Study, name: str) -> list[str]:
    """The items in the rater's own order: random, and the same whenever that rater comes back."""

    def place(item: str) -> bytes:
        return hashlib.sha256(f"{study.name}\n{study.seed}\n{_folded(name)}\n{item}".encode()).digest()

    return sorted((item.item for item in study.items), key=place)


def item_key(study: Study, item: str) -> str:
    """What the page calls an item; tells nothing about it."""
    return hashlib.sha256(f"{study.seed}\n{study.name}\n{item}".encode()).hexdigest()[:20]


def _digest(study: Study) -> str:
    """Changes with everything that gives an answer its meaning."""
    asked = [[one.name, one.rubric, one.low, one.high, one.step] for one in study.dimensions]
    shown = [[item.item, item.prompt, item.chain, item.image] for item in study.items]
    return hashlib.sha256(json.dumps([study.seed, asked, shown]).encode()).hexdigest()


class ShownItems:
    """The items of a study by the names under which the page asks for them."""

    def __init__(self, folder: Path, study: Study) -> None:
        self.study = study
        self._folder = folder
        self._items = {item_key(study, item.item): item for item in study.items}
        self.keys = {item.item: key for key, item in self._items.items()}

    def find(self, key: str) -> Item | None:
        """The item of that name."""
        return self._items.get(key)

    def facts(self, item: Item) -> dict[str, Any]:
        """Everything that the page shows but pictures, as JSON values."""
        chain = None if item.chain is None else parse_chain(item.chain)
        return {
            "prompt": item.prompt,
            "chain": None if chain is None else [{"text": text, "colour": colour} for text, colour in pieces(chain)],
            "frames": [] if chain is None else frames(chain),
            "picture": item.image is not None,
            "dimensions": [dimension.name for dimension in self.study.dimensions_of(item)],
        }

    def picture(self, item: Item) -> bytes | None:
        """The picture as PNG, its pixels alone; None where there is none.

        Raises:
            DataError: the file cannot be read.
        """
        path = picture_path(self._folder, item)
        if path is None:
            return None
        try:
            return _png(open_picture(path))
        except PictureError as error:
            raise DataError(str(error), path=path) from None

    def plan(self, item: Item) -> bytes | None:
        """The plan drawn as for the spatial judge, as PNG; None where no chain is shown."""
        if item.chain is None:
            return None
        return _png(draw_plan(parse_chain(item.chain).boxed, PLAN_SIDE, label_scale=PLAN_LABELS))


def pieces(chain: Chain) -> Iterator[tuple[str, str | None]]:
    """(text, colour of the object's frame) along the chain: names stand for names with boxes, as the prose is read."""
    position, colours = 0, 0
    for planned in chain.objects:
        start, end = max(planned.span[0], position), max(planned.span[1], position)
        if before := _MARKER.sub("", chain.text[position:start]):
            yield before, None
        colour = None if planned.box is None else hex_colour(colours)
        colours += planned.box is not None
        if start == planned.span[0]:
            yield planned.name, colour
        position = end
    if rest := _MARKER.sub("", chain.text[position:]):
        yield rest, None


def frames(chain: Chain) -> list[dict[str, Any]]:
    """The plan's boxes in percent of the picture, in the colours of its drawing."""
    return [
        {
            "name": name,
            "colour": hex_colour(place),
            "x": round(100 * box.x1, 3),
            "y": round(100 * box.y1, 3),
            "width": round(100 * box.width, 3),
            "height": round(100 * box.height, 3),
        }
        for place, (name, box) in enumerate(chain.boxed)
    ]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
