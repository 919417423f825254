"""UniGenBench++'s readings and sums against what its own code answers, and its prompts where they are at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.semantics import UndefinedScoreError
from benchmarks.unigenbench.asking import FACT, UniGenBenchSettings, build_judge
from benchmarks.unigenbench.prompts import LISTS, read_items
from benchmarks.unigenbench.reading import count_lists, official_verdicts, parse_reply, read_verdicts
from benchmarks.unigenbench.results import Picture, Summary, add_up
from benchmarks.unigenbench.wording import read_wording
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from gotr1_eval.files.public_data import public_data
from tests.board_files import Shop, write_unigenbench
from tests.conftest import SHARED, rows, shared_parameters

Read = Callable[[Path], str]
Row = dict[str, Any]
GOLDEN = shared_parameters("golden/checklists/unigenbench_*.jsonl")


def add_up_rows(rows: list[tuple[list[str], list[bool] | None]]) -> Summary:
    """The sums of pictures, each of a prompt of its own."""
    return add_up(
        Picture(index=str(at), kinds=tuple(kinds), verdicts=None if verdicts is None else tuple(verdicts))
        for at, (kinds, verdicts) in enumerate(rows)
    )


def counted(points: list[str], verdicts: list[bool] | None) -> dict[str, list[int]]:
    return {kind: [share.correct, share.total] for kind, share in add_up_rows([(points, verdicts)]).kinds.items()}


@pytest.mark.parametrize("path", GOLDEN)
def test_parsed_replies_and_what_is_counted_of_them(path: Path, read_shared: Read):
    accepted = 0
    for row in rows(read_shared(path), "parse"):
        points = row["testpoints"]
        if row["error"] is not None:
            with pytest.raises(UndefinedScoreError) as ended:
                parse_reply(row["text"], len(points))
            assert ended.value.official_error == row["error"], row["id"]
            continue
        lists = parse_reply(row["text"], len(points))
        assert (lists is not None) == row["accepted"], row["id"]
        if lists is None:
            assert row["counted"] == {}
            continue
        accepted += 1
        assert [type(one).__name__ for one in lists] == [row["analysis_type"], row["score_type"]], row["id"]
        if row.get("count_error"):
            with pytest.raises(UndefinedScoreError) as ended:
                count_lists(lists)
            assert ended.value.official_error == row["count_error"], row["id"]
        else:
            assert counted(points, count_lists(lists)) == row["counted"], row["id"]
    assert accepted


@pytest.mark.parametrize("path", GOLDEN)
def test_the_certain_reader_never_contradicts_the_official_one(path: Path, read_shared: Read):
    """Where both read whole verdicts they agree; the certain one also reads what only an analysis has spoilt."""
    both = 0
    for row in rows(read_shared(path), "parse"):
        points = row["testpoints"]
        try:
            certain = read_verdicts(row["text"], len(points))
        except UnreadableReply:
            continue
        if row["accepted"] and row["counted"]:
            both += 1
            assert counted(points, certain) == row["counted"], row["id"]
    assert both


@pytest.mark.parametrize("path", GOLDEN)
def test_sums(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "aggregate"):
        sums = add_up_rows(
            [
                (points, count_lists(([], scores)) if isinstance(scores, list) else None)
                for points, scores in row["rows"]
            ]
        )
        assert sums.lost == row["skipped_rows"], row["id"]
        for found, expected in ((sums.dimensions, row["primary"]), (sums.kinds, row["sub"])):
            assert {name: [share.correct, share.total, round(share.accuracy, 4)] for name, share in found.items()} == {
                name: [one["correct"], one["total"], one["accuracy"]] for name, one in expected.items()
            }, row["id"]
        assert [*sums.dimensions] == row["primary_order"]


@pytest.mark.parametrize(
    ("name", "points", "mended"), [("en", 1813, []), ("en_long", 3920, [509]), ("zh", 1813, []), ("zh_long", 3920, [])]
)
def test_the_prompts(name: str, points: int, mended: list[int], count_shared: Callable[[Path], Path]):
    path = SHARED / f"data/unigenbench/test_prompts_{name}.csv"
    if not path.is_file():
        pytest.skip(f"no {path} (set GOTR1_SHARED)")
    items = read_items(count_shared(path), name)
    assert [item.index for item in items] == [*range(600)]
    assert [item.index for item in items if item.mended] == mended
    assert len({kind for item in items for kind in item.kinds}) == 27
    assert sum(len(item.kinds) for item in items) == points
    assert name in LISTS


@pytest.mark.parametrize("path", GOLDEN)
def test_a_reply_without_lists_is_asked_for_again(path: Path, read_shared: Read, tmp_path: Path):
    """With kinds of our own wording's, since only their number matters."""
    write_unigenbench(tmp_path)
    for row in rows(read_shared(path), "attempts"):
        asked: list[str | None] = []

        def answer(request: Request, replies: list[str | None] = row["replies"], sent: Any = asked) -> Reply:
            said = replies[min(len(sent), len(replies) - 1)]
            sent.append(said)
            return Reply(text=said or "", model="m")

        judge = build_judge("vllm", UniGenBenchSettings(vlm={"use": "any"}, data=tmp_path), Shop(answer))
        count = len(row["testpoints"])
        fact = {"index": 0, "language": "en", "kinds": ["Style"] * count, "descriptions": ["d"] * count}
        (outcome,) = judge.judge([Sample(id="s", prompt="p", image=Image.new("RGB", (8, 8)), meta={FACT: fact})])
        expected = row["vllm"]
        assert len(asked) == expected["calls"], row["id"]
        verdicts = None
        if expected.get("score") is not None:
            with suppress(UndefinedScoreError):  # accepted, and lost in the sums
                verdicts = official_verdicts(
                    row["replies"][min(expected["kept_text_is_reply"], len(row["replies"]) - 1)], count
                )
        assert isinstance(outcome, Unscored) == (verdicts is None), row["id"]
        if verdicts is not None:
            assert [one.verdict for one in outcome.questions] == verdicts, row["id"]


@pytest.mark.parametrize("path", GOLDEN)
def test_the_judges_question(path: Path, read_shared: Read):
    """In the authors' own words, where they were fetched."""
    data = public_data("unigenbench")
    if data.missing:
        pytest.skip(f"no {data.folder}: `gotr1-eval data fetch unigenbench` brings the wording")
    for row in rows(read_shared(path), "judge_text"):
        wording = read_wording(data.folder / "eval_common.py", row["lang"])
        asked = row["prompt"], row["testpoints"], row["descriptions"]
        if row["error"] is not None:
            with pytest.raises(ValueError, match="no definition"):
                wording.text(*asked)
            continue
        text = wording.text(*asked)
        assert len(text) == row["length"], row["id"]
        assert hashlib.sha256(text.encode()).hexdigest() == row["sha256"], row["id"]
