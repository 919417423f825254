"""Replies on disk: nothing is asked twice, nothing is mixed up, failures are not kept."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.forms import marks_form
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.models.vlms.cached import CachedVlm, ReplyCache, request_key

RED, BLUE = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
BASE = Request(prompt="How well?", images=(RED,))


class CountingVlm:
    """Answers with the number of the question; fails where the prompt says so."""

    name = "counting"
    scores_choices = True

    def __init__(self, fingerprint: str = "counting-1") -> None:
        self.fingerprint = fingerprint
        self.asked: list[Request] = []

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        return (float(size[0]), 7.0)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply | Unscored:
        self.asked.append(request)
        if "fail" in request.prompt:
            return Unscored(why=Why.BACKEND, detail="state 500")
        scores = tuple(math.log(0.1 + place / 10) for place, _ in enumerate(request.choices))
        return Reply(text=f"ä {len(self.asked)}", model=self.name, finish="stop", choice_log_probs=scores)


def test_a_second_run_asks_nothing(tmp_path):
    asked = [BASE, Request(prompt="other"), Request(prompt="rate", choices=("1", "10"))]
    first, second = CountingVlm(), CountingVlm()
    replies = CachedVlm(first, tmp_path / "deep" / "replies.sqlite").reply(asked)
    again = CachedVlm(second, tmp_path / "deep" / "replies.sqlite")
    assert again.reply([*asked[::-1], Request(prompt="new")]) == [
        *replies[::-1],
        Reply(text="ä 1", model="counting", finish="stop"),
    ]
    assert ([request.prompt for request in second.asked], again.hits) == (["new"], 3)
    assert (again.name, again.fingerprint, again.scores_choices) == ("counting", "counting-1", True)
    assert again.box_frame((3, 4)) == (3, 7)


def test_failures_are_asked_again(tmp_path):
    vlm = CountingVlm()
    cached = CachedVlm(vlm, tmp_path / "replies.sqlite")
    for _ in range(2):
        bad, good = cached.reply([Request(prompt="fail"), BASE])
        assert isinstance(bad, Unscored)
        assert isinstance(good, Reply)
    assert [request.prompt for request in vlm.asked] == ["fail", "How well?", "fail"]


@pytest.mark.parametrize("change", [{"followups": (("hm", "Again?"),)}, {"repeat": 1}])
def test_re_asks_and_repeats_are_never_answered_from_disk(tmp_path, change):
    vlm = CountingVlm()
    cached = CachedVlm(vlm, tmp_path / "replies.sqlite")
    request = dataclasses.replace(BASE, **change)
    texts = [cached.reply([each])[0].text for each in (BASE, request, request, BASE)]
    assert texts == ["ä 1", "ä 2", "ä 3", "ä 1"]
    assert len(ReplyCache(tmp_path / "replies.sqlite")) == 1


CHANGES = {
    "prompt": "How good?",
    "images": (BLUE,),
    "system": "Be strict.",
    "answer_prefix": "{",
    "choices": ("1",),
    "followups": (("a", "b"),),
    "max_tokens": 7,
    "temperature": 0.5,
    "seed": 1,
    "form": marks_form(["score"], range(11)),
    "repeat": 1,
    "first_tokens": ("1",),
    "pictures_last": True,
}


def test_every_field_of_a_request_changes_its_key():
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Request)}
    keys = [request_key("a", dataclasses.replace(BASE, **{name: value})) for name, value in CHANGES.items()]
    others = [request_key("a", BASE), request_key("b", BASE), request_key("a", dataclasses.replace(BASE, images=()))]
    others.append(request_key("a", dataclasses.replace(BASE, images=(Image.new("RGB", (2, 8), "red"),))))
    assert len({*keys, *others}) == len(keys) + len(others)
    assert request_key("a", dataclasses.replace(BASE, images=(RED.copy(),))) == request_key("a", BASE)


def test_another_fingerprint_misses(tmp_path):
    path = tmp_path / "replies.sqlite"
    CachedVlm(CountingVlm(), path).reply([BASE])
    other = CountingVlm("counting-2")
    CachedVlm(other, path).reply([BASE])
    assert other.asked == [BASE]


def _fill(path: Path, who: int) -> None:
    cache = ReplyCache(path)
    for number in range(40):
        cache.put(
            {f"{who}-{number}": Reply(text=str(number), model="m"), f"both-{number}": Reply(text=str(who), model="m")}
        )
        assert f"{who}-{number}" in cache.get([f"{who}-{number}"])


@pytest.mark.slow
def test_two_processes_write_at_once(tmp_path):
    path = tmp_path / "replies.sqlite"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fill, args=(path, who)) for who in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(ReplyCache(path)) == 3 * 40


def _begin(folder: Path, together: Any) -> None:
    for attempt in range(50):
        together.wait(60)
        ReplyCache(folder / f"{attempt}.sqlite")


@pytest.mark.slow
def test_processes_may_begin_a_file_together(tmp_path):
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(4)
    processes = [context.Process(target=_begin, args=(tmp_path, together)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4


def test_the_first_reply_stays(tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    for text in ("first", "second"):
        cache.put({"key": Reply(text=text, model="m")})
    assert cache.get(["key"])["key"].text == "first"


def test_pruning_forgets_what_was_not_used_for_longest(tmp_path):
    path = tmp_path / "replies.sqlite"
    cache = ReplyCache(path)
    cache.put({f"key {age}": Reply(text="x" * 100, model="m") for age in range(1000)})
    with sqlite3.connect(path) as database:
        for age in range(1000):
            moment = time.time() - age * 86_400 - 60
            database.execute("UPDATE replies SET used_at = ? WHERE key = ?", (moment, f"key {age}"))
    database.close()
    assert len(cache.get([f"key {age}" for age in (5, 999)])) == 2
    assert cache.prune(keep_days=100.5) == 899 - 1
    assert set(cache.get([f"key {age}" for age in range(1000)])) == {f"key {age}" for age in (*range(101), 999)}
    before = path.stat().st_size
    assert cache.prune(max_bytes=1000) == 102 - len(cache)
    assert 0 < len(cache) <= 10
    assert path.stat().st_size <= before
    assert cache.prune() == 0


def test_a_foreign_file_is_told_in_one_line(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.write_text("no database, but a text that is long enough to be mistaken for one " * 20, encoding="utf-8")
    with pytest.raises(DataError, match="delete it"):
        ReplyCache(path)


def test_it_is_a_plug_in(tmp_path):
    spec = {"use": "cached", "path": str(tmp_path / "replies.sqlite")}
    inner = {"use": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "model": "org/tiny"}
    assert Builder().vlm({**spec, "vlm": inner}).name == "tiny"
