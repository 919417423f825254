"""WISE from end to end on four made-up prompts: what is asked, what is read, what is written and summed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.wise.asking import WiseSettings, build_judge
from benchmarks.wise.prompts import fact_name
from benchmarks.wise.protocols import LEGACY, PROTOCOLS, VERIFIED, Protocol
from benchmarks.wise.reading import read_certainly
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, RunError, UsageError
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from tests.board_files import Shop, answers, paint, write_wise

PICTURE = Image.new("RGB", (4, 4), "red")


def judged(
    folder: Path, protocol: Protocol, answer: Callable[[Request], Any], semantics: str = "reference"
) -> tuple[Outcome, list[Request]]:
    shop = Shop(answer)
    settings = WiseSettings(vlm={"use": "any"}, data=write_wise(folder), semantics=semantics)  # type: ignore[arg-type]
    judge = build_judge(protocol, settings, shop)
    fact = {"prompt_id": 1, "explanation": "an apple", "subcategory": "s"}
    (outcome,) = judge.judge([Sample(id="s", prompt="the fruit", image=PICTURE, meta={fact_name(protocol): fact})])
    return outcome, shop.model.requests


def test_the_judge_is_asked_in_the_scripts_words_with_the_picture_last(tmp_path: Path):
    outcome, (request,) = judged(tmp_path, VERIFIED, lambda request: "Score: 1")
    assert request.system == "Judge strictly."
    assert request.prompt == 'Does it show {the} meaning?\nPROMPT: "the fruit"\nEXPLANATION: "an apple"\nAnswer.'
    assert (request.pictures_last, request.max_tokens, request.temperature) == (True, 500, 0.0)
    assert isinstance(outcome, Score)
    assert outcome.value == 1.0


def test_three_marks_make_the_legacy_score(tmp_path: Path):
    outcome, (request,) = judged(tmp_path, LEGACY, lambda request: "Consistency: 2\nRealism: 1\nAesthetic Quality: 0")
    assert request.max_tokens == 2000
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx((0.7 * 2 + 0.2 * 1) / 2)
    assert {one.question: one.verdict for one in outcome.questions} == {
        "consistency": 1.0,
        "realism": 0.5,
        "aesthetic_quality": 0.0,
    }


@pytest.mark.parametrize("semantics", ["reference", "corrected"])
@pytest.mark.parametrize(
    ("protocol", "reply"),
    [
        ("verified", ""),
        ("verified", "I cannot see the picture."),
        ("verified", "Score: 10"),
        ("verified", "The scale goes from Score zero to Score one."),
        ("legacy", "Consistency: 2"),
        ("legacy", "Consistency: 7\nRealism: 1\nAesthetic Quality: 0"),
        ("legacy", "2\n1"),
        ("legacy", "all very good"),
    ],
)
def test_a_reply_without_marks_is_asked_for_three_times_and_makes_no_number(
    tmp_path: Path, protocol: str, reply: str, semantics: str
):
    outcome, requests = judged(tmp_path, PROTOCOLS[protocol], lambda request: reply, semantics)  # type: ignore[index]
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNREADABLE
    assert [kept.text for kept in outcome.replies] == [reply] * 3
    assert [request.repeat for request in requests] == [0, 1, 2]


@pytest.mark.parametrize(
    ("reply", "reference", "corrected"),
    [
        ("Score: 1", 1.0, 1.0),
        ("**Score:** 1", None, 1.0),
        ("Score：0", None, 0.0),
        ("Score: 0.5", 0.0, None),
        ("Score: 1/2", 1.0, None),
        ("Score: 0\nScore: 1", 0.0, None),
        ("maybe Score: 1\n</think>\nScore: 0", 1.0, 0.0),
        ("final_score: 1", 1.0, None),
        ("ok\n0", 0.0, None),
    ],
)
def test_what_the_official_reader_takes_and_the_certain_one(
    tmp_path: Path, reply: str, reference: float | None, corrected: float | None
):
    for semantics, expected in (("reference", reference), ("corrected", corrected)):
        outcome, _ = judged(tmp_path, VERIFIED, lambda request: reply, semantics)
        assert (outcome.value if isinstance(outcome, Score) else None) == expected, semantics


def test_the_certain_reader_wants_whole_marks_under_every_name():
    assert read_certainly("Realism: 2\nConsistency: 0\n**Aesthetic Quality:** 1", LEGACY.marks, 2) == {
        "consistency": 0.0,
        "realism": 2.0,
        "aesthetic_quality": 1.0,
    }
    with pytest.raises(UnreadableReply, match="whole number"):
        read_certainly("Consistency: 1.5\nRealism: 2\nAesthetic Quality: 0", LEGACY.marks, 2)


def test_a_failing_server_is_asked_again_later(tmp_path: Path):
    outcome, _ = judged(tmp_path, VERIFIED, lambda request: Unscored(why=Why.BACKEND, detail="down"))
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.BACKEND


@pytest.mark.parametrize(("protocol", "suite"), [("verified", "wise"), ("legacy", "wise,protocol=legacy")])
def test_a_run_from_pictures_to_files(
    tmp_path: Path,
    protocol: str,
    suite: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    data, pictures = write_wise(tmp_path / "data"), tmp_path / "pictures"
    for name in ("1", "2", "401", "641"):
        paint(pictures / f"{name}.png")
    (pictures / "641.png").unlink()
    good = "Score: 1" if protocol == "verified" else "Consistency: 2\nRealism: 2\nAesthetic Quality: 2"
    bad = "Score: 0" if protocol == "verified" else "Consistency: 0\nRealism: 0\nAesthetic Quality: 0"
    model = answers(tmp_path, {"a drink": bad, "noon": "no marks", "PROMPT": good})
    command = ["bench", suite, "--data", str(data), "--images", str(pictures), "--judge-model", str(model)]
    out = tmp_path / "run"
    with pytest.raises(RunError, match="marked incomplete"):  # a picture is missing and a reply unreadable
        run([*command, "--out", str(out)])
    assert "unreadable: 3 of 3" in capsys.readouterr().err or protocol == "verified"
    assert "1 planned samples have no picture, such as 641.png" in caplog.text
    rows = [json.loads(line) for line in (out / "wise_scores.jsonl").read_text().splitlines()]
    highest = PROTOCOLS[protocol].highest  # type: ignore[index]
    assert [row["prompt_id"] for row in rows] == [1, 2]
    assert [row[PROTOCOLS[protocol].marks[0]] for row in rows] == [highest, 0]  # type: ignore[index]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["overall"] is None
    assert len(summary["missing_ids"]) == 998
    category = "culture" if protocol == "verified" else "legacy_culture"
    assert summary["categories"] == {category: {"mean": pytest.approx(0.5), "pictures": 2}}
    assert run(["bench", suite, "--results", str(out)]) == 0
    told = capsys.readouterr()
    assert f"{category:<18} = 0.5000 (2 pictures)" in told.out
    assert "998 of 1,000 ids have no row" in told.err


def test_a_whole_file_of_the_official_script_has_a_total_and_bagels_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    marks = {"consistency": 2, "realism": 2, "aesthetic_quality": 2}
    rows = [{"prompt_id": at, **(marks if at <= 400 else dict.fromkeys(marks, 0))} for at in range(1, 1001)]
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert run(["bench", "wise,protocol=legacy", "--results", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["overall"] == pytest.approx(0.4)
    assert found["bagel_overall"] == pytest.approx(1 / 6)
    assert found["interval_95"] == [pytest.approx(0.4)] * 2
    with pytest.raises(DataError, match=r"no row with prompt_id and score \(WISE verified\)"):
        run(["bench", "wise", "--results", str(path)])


def test_what_is_missing_or_another_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOTR1_CACHE", str(tmp_path / "cache"))
    model = answers(tmp_path, {})
    with pytest.raises(UsageError, match="gotr1-eval data fetch wise"):
        run(["bench", "wise", "--images", str(tmp_path), "--judge-model", str(model)])
    data = write_wise(tmp_path / "data")
    (data / "vllm_eval.py").write_text("def build_evaluation_messages():\n    return [{'text': 'only one'}]\n")
    settings = WiseSettings(vlm={"use": "any"}, data=data)
    with pytest.raises(DataError, match="expected a system turn and a user's turn"):
        build_judge(VERIFIED, settings, Shop(lambda request: ""))
    (data / "merge.json").write_text('[{"Prompt": "p", "Explanation": "e", "prompt_id": 2000}]')
    with pytest.raises(DataError, match="prompt_id 2000 belongs to no category of WISE verified"):
        run(["bench", "wise", "--data", str(data), "--images", str(tmp_path), "--judge-model", str(model)])


def test_a_dry_run_counts_calls_and_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = write_wise(tmp_path / "data")
    model = answers(tmp_path, {})
    command = ["bench", "wise", "--data", str(data), "--images", str(tmp_path), "--judge-model", str(model)]
    assert run([*command, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["prompts"], found["model_calls"], found["answer_tokens_at_most"]) == (4, 4, 2000)
    assert found["question_characters"] > 4 * 80


def test_replies_are_kept_with_their_words(tmp_path: Path):
    outcome, _ = judged(tmp_path, VERIFIED, lambda request: Reply(text="Score: 1", model="m", thought="hm"))
    assert isinstance(outcome, Score)
    assert [(kept.text, kept.thought) for kept in outcome.replies] == [("Score: 1", "hm")]
