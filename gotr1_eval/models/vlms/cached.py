"""Another language-vision model, with its replies kept on disk, so that a question is paid for once.

SQLite in write-ahead mode: several processes may read and write one file. A connection lives for one operation only, so
that threads and forks need no care. The file has to lie on a local disk; SQLite's log does not work over a network.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.forms import constrains
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.protocols import Request, Vlm, Workshop
from gotr1_eval.core.secrets import redact
from gotr1_eval.core.types import Json
from gotr1_eval.files.writing import write_ahead
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

_DAY_S = 86_400.0
_AT_ONCE = 500
_PATIENCE_S = 60.0
"""How long a process waits for another one that writes."""
_TABLE = """
    CREATE TABLE IF NOT EXISTS replies (
        key TEXT PRIMARY KEY, reply TEXT NOT NULL, used_at REAL NOT NULL
    ) WITHOUT ROWID
"""


class ReplyCache:
    """A file of replies by key; see `request_key`. Every method raises DataError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        """Makes the file and its folder where there are none."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            write_ahead(database, _PATIENCE_S)
            database.execute(_TABLE)

    def get(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The replies that are there, by key; marks them as used today."""
        found: dict[str, Reply] = {}
        now = time.time()
        with self._open() as database:
            for some in _parts(keys):
                marks = ", ".join("?" * len(some))
                rows = database.execute(f"SELECT key, reply, used_at FROM replies WHERE key IN ({marks})", some)
                seen = rows.fetchall()
                found.update((key, read_reply_row(json.loads(text))) for key, text, _ in seen)
                # Only once a day: a write for every reading would make readers wait for each other.
                stale = [(now, key) for key, _, used_at in seen if used_at < now - _DAY_S]
                database.executemany("UPDATE replies SET used_at = ? WHERE key = ?", stale)
        return found

    def put(self, replies: Mapping[str, Reply]) -> None:
        """Keep replies; of two for one key, the first one stays, so that all processes read the same."""
        rows = [(key, redact(json.dumps(reply_row(reply))), time.time()) for key, reply in replies.items()]
        with self._open() as database:
            database.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", rows)

    def prune(self, *, keep_days: float | None = None, max_bytes: int | None = None) -> int:
        """Forget replies, those that were not used for longest first; returns how many.

        Args:
            keep_days: what was not used for so many days goes.
            max_bytes: what is left takes at most so many bytes of text.
        """
        with self._open() as database:
            gone = 0
            if keep_days is not None:
                oldest = time.time() - keep_days * _DAY_S
                gone += database.execute("DELETE FROM replies WHERE used_at < ?", (oldest,)).rowcount
            if max_bytes is not None:
                summed = "SUM(LENGTH(CAST(reply AS BLOB))) OVER (ORDER BY used_at DESC, key)"
                beyond = f"SELECT key FROM (SELECT key, {summed} AS total FROM replies) WHERE total > ?"
                gone += database.execute(f"DELETE FROM replies WHERE key IN ({beyond})", (max_bytes,)).rowcount
        with self._open() as database:
            database.execute("VACUUM")
        return gone

    def __len__(self) -> int:
        """How many replies there are."""
        with self._open() as database:
            return int(database.execute("SELECT COUNT(*) FROM replies").fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept when the block ends well."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as database, database:
                yield database
        except sqlite3.Error as error:
            message = f"the cache of replies cannot be used: {one_line(error)}; delete it to begin a new one"
            raise DataError(message, path=self._path) from None


def request_key(fingerprint: str, request: Request) -> str:
    """Changes with everything that an answer may depend on: the model, every text, every pixel, every setting."""
    facts = {
        "model": fingerprint,
        "system": request.system,
        "prompt": request.prompt,
        "pictures": [_picture_digest(image) for image in request.images],
        "followups": request.followups,
        "answer_prefix": request.answer_prefix,
        "choices": request.choices,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "repeat": request.repeat,
        # Only where there is one, so that replies kept before there were such requests are found.
        **({"form": request.form} if request.form is not None else {}),
        **({"first_tokens": request.first_tokens} if request.first_tokens else {}),
        **({"pictures_last": True} if request.pictures_last else {}),
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _picture_digest(image: Image.Image) -> str:
    return sha256(f"{image.mode} {image.size}\n".encode() + image.tobytes()).hexdigest()


def reply_row(reply: Reply) -> dict[str, Json]:
    """The reply as JSON values, without what is empty; `read_reply_row` gives it back."""
    row: dict[str, Json] = {"text": reply.text, "model": reply.model, "finish": reply.finish}
    row |= {"thought": reply.thought} if reply.thought else {}
    row |= {"choice_log_probs": list(reply.choice_log_probs)} if reply.choice_log_probs else {}
    row |= {"first_tokens": dict(reply.first_tokens)} if reply.first_tokens else {}
    return row | {"unlisted": reply.unlisted} if reply.unlisted is not None else row


def read_reply_row(row: Mapping[str, Any]) -> Reply:
    """The reply that a row holds; raises TypeError where `reply_row` wrote no such row."""
    return Reply(**{**row, "choice_log_probs": tuple(row.get("choice_log_probs", ()))})


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    """The keys in parts that SQLite takes in one question."""
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))


class Settings(StrictSettings):
    """Which model, and where its replies are kept.

    Attributes:
        vlm: the model, ``{use = "qwen", ...}``.
        path: the file; made where there is none, shared by any number of models and processes.
    """

    vlm: Component
    path: Path


class CachedVlm:
    """Answers from disk what has been answered before; see `gotr1_eval.core.protocols.Vlm`.

    Failures are never kept. A re-ask (a request with earlier rounds) and a repeat are always asked anew and not kept:
    both exist to hear the model once more.

    Attributes:
        vlm: the other model.
        hits: replies that came from disk so far.
    """

    def __init__(self, vlm: Vlm, path: Path, constrained: Json = "auto") -> None:
        """Raises DataError when there is such a file and it is no cache of replies.

        Args:
            constrained: the model's own setting.
        """
        self.vlm = vlm
        self._constrained = constrained
        self._cache = ReplyCache(path)
        self.hits = 0

    @property
    def name(self) -> str:
        """The model's own."""
        return self.vlm.name

    @property
    def fingerprint(self) -> str:
        """The model's own: where a reply was kept does not change it."""
        return self.vlm.fingerprint

    @property
    def scores_choices(self) -> bool:
        """The model's own."""
        return self.vlm.scores_choices

    def constrains(self) -> bool:
        """Whether the model's answers are made to follow a form; what a server was found to do is kept, too.

        Where it has changed since, the model itself says so at the first question that is not on disk.
        """
        if self._constrained != "auto":
            return constrains(self.vlm)
        key = request_key(f"{self.fingerprint}, constrains", Request(prompt=""))
        if key not in (known := self._cache.get([key])):
            known = {key: Reply(text=str(constrains(self.vlm)), model=self.name)}
            self._cache.put(known)
        return known[key].text == str(True)

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """The model's own."""
        return self.vlm.box_frame(size)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order; the model is asked once for all that is not on disk."""
        fingerprint = self.fingerprint
        keys = [request_key(fingerprint, request) if _may_be_kept(request) else None for request in requests]
        known = self._cache.get([key for key in keys if key is not None])
        open_ = [place for place, key in enumerate(keys) if key is None or key not in known]
        asked = dict(zip(open_, self.vlm.reply([requests[place] for place in open_]), strict=True)) if open_ else {}
        self._cache.put(
            {
                key: reply
                for place, reply in asked.items()
                if isinstance(reply, Reply) and (key := keys[place]) is not None
            }
        )
        self.hits += len(requests) - len(open_)
        return [asked[place] if place in asked else known[str(key)] for place, key in enumerate(keys)]


def _may_be_kept(request: Request) -> bool:
    return not request.followups and request.repeat == 0


def build(settings: Settings, workshop: Workshop) -> CachedVlm:
    """The model of the settings, built by the workshop, behind its cache."""
    return CachedVlm(workshop.vlm(settings.vlm), settings.path, settings.vlm.get("constrained", "auto"))
