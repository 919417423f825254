"""UniGenBench++'s readings and sums against what its own code answers, and its prompts where they are at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.semantics import UndefinedScoreError
from benchmarks.unigenbench.prompts import LISTS, read_items
from benchmarks.unigenbench.reading import count_lists, parse_reply, read_verdicts
from benchmarks.unigenbench.results import Picture, Summary, add_up
from gotr1_eval.core.reading import UnreadableReply
from tests.conftest import SHARED, shared_parameters

Read = Callable[[Path], str]
Row = dict[str, Any]
GOLDEN = shared_parameters("golden/checklists/unigenbench_*.jsonl")


def rows(text: str, kind: str) -> list[Row]:
    found = [row for line in text.splitlines() if (row := json.loads(line))["type"] == kind]
    assert found
    return found


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
