"""WISE's readings and totals against what its own scripts, and BAGEL's copy of them, answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.wise.asking import WiseSettings, build_judge
from benchmarks.wise.prompts import fact_name
from benchmarks.wise.protocols import LEGACY, PROTOCOLS, SUBJECTS, Protocol
from benchmarks.wise.reading import BAGEL_MISSING, read_bagel, read_legacy, read_verified, strip_thoughts
from benchmarks.wise.totals import Total, count_rows, total
from gotr1_eval.core.outcome import Reply, Score
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from tests.board_files import Shop, write_wise
from tests.conftest import rows, shared_parameters

Read = Callable[[Path], str]
Row = dict[str, Any]
GOLDEN = shared_parameters("golden/checklists/wise_*.jsonl")


@pytest.mark.parametrize("path", GOLDEN)
def test_replies(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "reply"):
        text = row["text"]
        assert read_legacy(text) == row["legacy"], row["id"]
        assert (set(LEGACY.marks) <= read_legacy(text).keys()) == row["legacy_complete"], row["id"]
        assert strip_thoughts(text) == (text if row["verified_clean"] is None else row["verified_clean"]), row["id"]
        assert read_verified(text) == row["verified"], row["id"]
        assert read_bagel(text) == row["bagel"], row["id"]


def changed(marks: Row, protocol: Protocol, change: Row | None) -> Iterator[Row | None]:
    """The rows of a score file: the digits of a marks row, with what a vector changes in them."""
    change = change or {}
    all_rows = {
        at: {"prompt_id": at, **{name: int(marks[name][at - 1]) for name in protocol.marks}} for at in range(1, 1001)
    }
    for prompt_id, values in change.get("set", {}).items():
        all_rows[int(prompt_id)].update(values)
    if low_high := change.get("keep_ids"):
        all_rows = {at: row for at, row in all_rows.items() if low_high[0] <= at <= low_high[1]}
    for at in change.get("remove_ids", ()):
        del all_rows[at]
    for at in range(change.get("null_from_id", 1001), 1001):
        all_rows[at].update(dict.fromkeys(protocol.marks))
    yield from all_rows.values()
    yield from (all_rows[at] for at in change.get("append_copies_of_ids", ()))
    yield from ({**all_rows[1], "prompt_id": at} for at in change.get("append_rows_like_id_1_with_prompt_id", ()))
    if "append_line" in change:
        yield None


def counted(text: str, row: Row, protocol: Protocol) -> Total:
    marks = next(one for one in rows(text, "marks") if one["id"] == row["marks"])
    scores = count_rows(changed(marks, protocol, row.get("change")), protocol)
    return total(scores, protocol, row.get("category", "all"))


@pytest.mark.parametrize("path", GOLDEN)
def test_totals(path: Path, read_shared: Read):
    text = read_shared(path)
    for row in rows(text, "total"):
        protocol = PROTOCOLS[row["protocol"]]
        found = counted(text, row, protocol)
        assert found.refused == (row["categories"] is None), row["id"]
        if row["categories"] is not None:
            assert {name.upper(): count for name, (_, count) in found.means.items()} == row["samples"], row["id"]
            means = {name.upper(): mean for name, (mean, _) in found.means.items()}
            assert means == pytest.approx(row["categories"], abs=1e-9), row["id"]
        assert found.overall == (None if row["overall"] is None else pytest.approx(row["overall"], abs=1e-9)), row["id"]


@pytest.mark.parametrize("path", GOLDEN)
def test_bagels_total(path: Path, read_shared: Read):
    text = read_shared(path)
    for row in rows(text, "bagel_total"):
        found = counted(text, row, LEGACY)
        if row["error"] is not None:
            assert row["error"] == "TypeError"
            assert found.bagel is None, row["id"]
            continue
        expected = row["scores"]
        assert found.bagel == pytest.approx(expected["Overall"], abs=1e-9)
        for subject, name in zip(
            SUBJECTS, ("Cultural", "Time", "Space", "Biology", "Physics", "Chemistry"), strict=True
        ):
            assert found.means[subject][0] == pytest.approx(expected[name], abs=1e-9)
    assert BAGEL_MISSING == 9.9


@pytest.mark.parametrize("path", GOLDEN)
def test_a_reply_without_marks_is_asked_for_again(path: Path, read_shared: Read, tmp_path: Path):
    write_wise(tmp_path)
    for row in rows(read_shared(path), "attempts"):
        for protocol in PROTOCOLS.values():
            asked: list[str | None] = []

            def answer(request: Request, replies: list[str | None] = row["replies"], sent: Any = asked) -> Reply:
                said = replies[min(len(sent), len(replies) - 1)]
                sent.append(said)
                # Here a request that fails is repeated by the model's own client, and says nothing meanwhile.
                return Reply(text=said or "", model="m")

            settings = WiseSettings(vlm={"use": "any"}, data=tmp_path)
            judge = build_judge(protocol, settings, Shop(answer))
            meta = {fact_name(protocol): {"prompt_id": 1, "explanation": "e"}}
            (outcome,) = judge.judge([Sample(id="s", prompt="p", image=Image.new("RGB", (2, 2)), meta=meta)])
            expected = row[protocol.name]
            if any(mark > protocol.highest for mark in (expected["marks"] or {}).values()):
                continue  # off the scale: here no mark, by decision
            assert len(asked) == expected["calls"], row["id"]
            assert isinstance(outcome, Score) == (expected["status"] == "ok"), row["id"]
            if isinstance(outcome, Score):
                marks = {one.question: (one.verdict or 0) * protocol.highest for one in outcome.questions}
                assert marks == expected["marks"], row["id"]
