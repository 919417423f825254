"""Official results.jsonl files that are not as they should be: what is missing or doubled is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.geneval.prompts import read_task
from benchmarks.geneval.results import gap_lines, read_results
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError


def row(name: str, thing: str, correct: bool) -> dict:
    metadata = {"tag": "single_object", "include": [{"class": thing, "count": 1}], "prompt": f"a {thing}"}
    return {"filename": name, "tag": "single_object", "correct": correct, "metadata": json.dumps(metadata)}


def written(tmp_path: Path, rows: list[dict]) -> Path:
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


FOUR = [row(f"0/{number}.png", "cow", number > 1) for number in range(4)]


def test_a_picture_counts_once(tmp_path: Path):
    again = [{**FOUR[0], "filename": "./0//0.png"}, FOUR[3]]
    read = read_results(written(tmp_path, FOUR + again))
    assert [result.correct for result in read.results] == [False, False, True, True]
    assert gap_lines(read)[0] == "2 rows repeat the same picture (by its filename) and count once"
    # Files of the same name are two pictures where they are of two prompts.
    assert len(read_results(written(tmp_path, [row("0.png", "cow", True), row("0.png", "cat", False)])).results) == 2


def test_a_picture_with_two_verdicts_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"results.jsonl:5: 0/1.png is correct here and wrong in line 2; keep one"):
        read_results(written(tmp_path, [*FOUR, {**FOUR[1], "correct": True}]))


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = written(tmp_path, [*FOUR, row("1/0.png", "cat", True), row("1/1.png", "cat", True)])
    read = read_results(path)
    tags, fewer = gap_lines(read)
    assert tags.startswith("no row of two_object, counting, colors, position, color_attr")
    assert fewer == "1 of 2 prompts have fewer than 4 pictures, such as 'a cat' 2 of 4"
    assert "2 prompts have more than 1 pictures, such as 'a cow'" in gap_lines(read, pictures=1)
    tasks = [read_task({"tag": "single_object", "prompt": f"a {thing}"}) for thing in ("cow", "dog")]
    assert gap_lines(read, tasks)[2:] == [
        "1 prompts have no row, such as 'a dog'",
        "1 prompts are not in --data, such as 'a cat'",
    ]
    assert run(["geneval", "--results", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["images"] == 6
    assert "note: " in err
    assert "'a cat' 2 of 4" in err
