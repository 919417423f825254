"""`bench --list`: what can be run here, what it asks, and what it lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.cli import bench_list
from gotr1_eval.cli.app import run
from gotr1_eval.cli.bench_list import Listed, listed_benchmarks
from gotr1_eval.files import public_data


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it."""
    monkeypatch.setenv("GOTR1_CACHE", str(tmp_path))
    monkeypatch.delenv("GOTR1_EVAL_WEIGHTS", raising=False)
    return tmp_path


def listed() -> dict[str, Listed]:
    return {one.name: one for one in listed_benchmarks(Builder())}


def test_a_machine_with_nothing_on_it(here: Path):
    found = listed()
    shapes, composed, geneval, asked = (found[name] for name in ("shapes", "composed", "geneval", "geneval2"))
    assert (shapes.prompts, shapes.licence, shapes.missing, shapes.calls) == (1800, "", (), 0.0)
    assert (composed.prompts, composed.judged_by) == (1500, "--judges soft_tifa")
    assert composed.calls is not None
    assert 3 < composed.calls < 8
    assert (geneval.prompts, geneval.licence, geneval.calls) == (None, "MIT", 0.0)
    assert geneval.judged_by == "--detector [--encoder]"
    assert {"gotr1-eval data fetch geneval", "mask2former"} <= set(geneval.missing)
    assert (asked.prompts, asked.calls, asked.judged_by) == (None, None, "--judge-model")
    assert asked.missing[0] == "gotr1-eval data fetch geneval2"
    assert asked.licence == "CC BY-NC 4.0"


def test_calls_are_counted_once_the_prompts_are_there(here: Path, monkeypatch: pytest.MonkeyPatch):
    data = public_data.public_data("geneval2")
    data.folder.mkdir(parents=True)
    pairs = [["How many cups?", "two"], ["Any cups?", "Yes"]]
    rows = [
        {"prompt": f"p{n}", "atom_count": 3 + n, "vqa_list": pairs[: n + 1], "skills": ["count", "object"][: n + 1]}
        for n in range(2)
    ]
    (data.folder / "geneval2_data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (data.folder / "evaluation.py").write_text(
        'def soft_tifa(): "{} A word!".format(1)\ndef vqa_score(): "Is it {}?".format(1)\n'
    )
    (data.folder / "LICENSE").write_text("free")
    monkeypatch.setattr(public_data, "hash_fault", lambda path, expected: "" if path.is_file() else "missing")
    monkeypatch.setattr(Builder, "suites", lambda self: [self.suite({"use": "geneval2"})])
    asked = listed()["geneval2"]
    assert (asked.prompts, asked.calls, asked.missing) == (2, 1.5, ("qwen3-vl-8b (hub)",))


def test_the_command_needs_no_suite(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    one = Listed(
        name="mine", prompts=None, pictures=4, judged_by="--ocr", calls=1.25, licence="MIT", missing=("a file",)
    )
    monkeypatch.setattr(bench_list, "listed_benchmarks", lambda builder: [one])
    monkeypatch.setattr(bench_list.out, "width", 200)
    assert run(["bench", "--list"]) == 0
    _, row, note, _, heading, missing = capsys.readouterr().out.splitlines()
    assert row.split() == ["mine", "?", "x", "4", "--ocr", "1.2", "MIT"]
    assert (heading, missing) == ("missing here", "mine: a file")
    assert "?: known once" in note


def test_80_columns_break_no_name_and_no_option(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench_list.out, "width", 80)
    assert run(["bench", "--list"]) == 0
    table = capsys.readouterr().out.split("calls: questions")[0]
    assert max(map(len, table.splitlines())) <= 80
    for one in listed_benchmarks(Builder()):
        assert one.name in table
        assert all(option in table for option in one.judged_by.split())
