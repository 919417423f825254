"""The raters' answers on disk: added, never changed, and there once they are acknowledged."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.web.assignment import assign
from gotr1_eval.web.rating_store import CANNOT, Answer, RatingStore, SessionTaken, Value, tidy_name
from gotr1_eval.web.shown_items import item_key
from reports.agreement.foreign_tables.mapping import TableMapping
from reports.agreement.foreign_tables.reading import read_table
from reports.agreement.marks import Unit
from reports.agreement.ratings import Rating, write_ratings
from reports.agreement.study_folder import Study
from tests.rating_study import written_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return written_study(tmp_path)


@pytest.fixture
def store(tmp_path: Path, study: Study) -> RatingStore:
    return RatingStore(tmp_path, study)


def answer(value: Value, key: str = "key", item: str = "run-a/secret-category/1", dimension: str = "clarity") -> Answer:
    return Answer(key=key, item=item, dimension=dimension, value=value, seconds=1.5)


def simplified(ratings: list[Rating]) -> list[tuple[str, str, str, float | None]]:
    return [(one.rater, one.item, one.dimension, one.value) for one in ratings]


def test_the_last_answer_counts_and_none_is_lost(store: RatingStore):
    _, session = store.begin("Ann")
    for number, value in enumerate((3.0, 7.0, None, CANNOT)):
        store.save(session, answer(value, f"key{number}"))
    store.save(session, answer(9.0, "other", dimension="prompt_image"))
    store.save(session, answer(None, "gone", dimension="prompt_image"))
    item = "run-a/secret-category/1"
    assert store.answers("Ann") == {(item, "clarity"): CANNOT}
    assert simplified(store.ratings()) == [("Ann", item, "clarity", None)]
    assert store.ratings()[0].seconds == 1.5
    with sqlite3.connect(store.path) as database:
        assert database.execute("SELECT COUNT(*) FROM answers").fetchone() == (6,)
    database.close()


def test_the_export_is_read_by_agreement(tmp_path: Path, store: RatingStore):
    _, session = store.begin("Ann")
    store.save(session, answer(3.0, "first"))
    store.save(session, answer(CANNOT, "second", dimension="prompt_image"))
    path = write_ratings(store.ratings(), tmp_path)
    marks = read_table([path], TableMapping(), "rater", tmp_path)
    assert marks.values == {"clarity": {Unit("run-a/secret-category/1"): {"Ann": 3.0}}}
    assert marks.counts["rows"] == 2


def test_an_answer_sent_twice_is_one(store: RatingStore):
    _, session = store.begin("Ann")
    store.save(session, answer(3.0, "first"))
    store.save(session, answer(5.0, "second"))
    store.save(session, answer(3.0, "first"))
    assert list(store.answers("Ann").values()) == [5.0]


def test_one_session_at_a_time(store: RatingStore):
    _, first = store.begin("Ann")
    store.save(first, answer(3.0))
    name, second = store.begin(" ANN ")
    assert name == "Ann"
    with pytest.raises(SessionTaken):
        store.save(first, answer(4.0, "late"))
    store.save(second, answer(4.0, "late"))
    assert list(store.answers("ann").values()) == [4.0]
    assert store.is_known("aNN")
    assert not store.is_known("Bob")


def test_raters_do_not_see_each_other(store: RatingStore):
    for name, value in (("Ann", 3.0), ("Bob", 8.0)):
        store.save(store.begin(name)[1], answer(value))
    assert list(store.answers("Bob").values()) == [8.0]
    assert [(one.rater, one.value) for one in store.ratings()] == [("Ann", 3.0), ("Bob", 8.0)]


def test_names(store: RatingStore):
    assert tidy_name("  Zoë \t O'Hara-2 ") == "Zoë O'Hara-2"
    for name in ("", "=cmd()", "a\x00b", "<b>", "x" * 61, '"'):
        with pytest.raises(UsageError, match="a name has"):
            store.begin(name)


def order_for(study: Study, rater: str) -> list[str]:
    return [one.item for one in assign(study, rater, {})]


def test_the_order_is_the_raters_own(study: Study):
    items = tuple(replace(study.items[0], item=f"i{n}") for n in range(5))
    large = replace(study, items=items)
    orders = [tuple(order_for(large, f"rater {number}")) for number in range(600)]
    assert all(sorted(order) == [f"i{n}" for n in range(5)] for order in orders)
    assert order_for(large, "ann") == order_for(large, "ann")
    assert order_for(replace(large, seed=6), "ann") != order_for(large, "ann")
    firsts = Counter(order[0] for order in orders)
    assert all(80 < count < 160 for count in firsts.values()), "each item comes first for a fifth of the raters"
    assert len({item_key(large, item.item) for item in items}) == 5


def test_every_write_waits_for_the_disk(store: RatingStore):
    with store._open() as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (2,), (
            "FULL: the log is synced before a commit returns"
        )
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_study_is_refused(tmp_path: Path, study: Study, store: RatingStore):
    with pytest.raises(DataError, match="belong to another study"):
        RatingStore(tmp_path, replace(study, items=study.items[:2]))
    store.path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DataError, match=r"ratings.sqlite3: the answers cannot be kept or read"):
        store.begin("Ann")


def test_many_raters_at_once(store: RatingStore):
    def rated(number: int) -> None:
        _, session = store.begin(f"rater {number}")
        for place in range(10):
            store.save(session, answer(float(place), f"{number}-{place}", dimension=f"d{place}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(rated, range(8)))
    assert Counter(one.rater for one in store.ratings()) == {f"rater {number}": 10 for number in range(8)}


WRITER = """
import sys
from pathlib import Path
from gotr1_eval.web.rating_store import Answer, RatingStore
from reports.agreement.study_folder import read_study
folder = Path(sys.argv[1])
store = RatingStore(folder, read_study(folder))
_, session = store.begin("Ann")
for number in range(10**6):
    dimension = f"{sys.argv[2]} {number}"
    store.save(session, Answer(key=dimension, item="i", dimension=dimension, value=1.0, seconds=0.0))
    print(number, flush=True)
"""


@pytest.mark.slow
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path, store: RatingStore):
    acknowledged: set[str] = set()
    for kill in range(3):
        command = [sys.executable, "-c", WRITER, tmp_path, str(kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(30)]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
        acknowledged |= {f"{kill} {int(line)}" for line in said if line.endswith("\n")}
    kept = {dimension for _, dimension in store.answers("Ann")}
    assert acknowledged <= kept
    assert len(kept) <= len(acknowledged) + 3, "at most one answer a kill was written and not acknowledged"
