"""T2I-CoReBench from end to end on a few made-up prompts: what is asked, read, written and summed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.t2i_corebench.asking import FACT, CoReBenchSettings, build_judge
from benchmarks.t2i_corebench.reading import thinks
from benchmarks.t2i_corebench.results import DIMENSIONS, Picture, summarise
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from tests.board_files import Shop, answers, paint, write_corebench

PICTURE = Image.new("RGB", (4, 4), "red")
QUESTIONS = [{"text": "Is there a cup?", "tag": "pos"}, {"text": "Is there no dog?", "tag": "neg"}]


def judged(
    folder: Path,
    answer: Callable[[Request], Any],
    semantics: str = "reference",
    path: str = "vllm",
    model: str = "Qwen2.5-VL-72B-Instruct",
) -> tuple[Outcome, list[Request]]:
    shop = Shop(answer, model)
    settings = CoReBenchSettings(vlm={"use": "any"}, data=write_corebench(folder), semantics=semantics)  # type: ignore[arg-type]
    judge = build_judge(path, settings, shop)  # type: ignore[arg-type]
    (outcome,) = judge.judge([Sample(id="s", prompt="a cup", image=PICTURE, meta={FACT: QUESTIONS})])
    return outcome, shop.model.requests


def test_one_question_a_call_in_the_scripts_words(tmp_path: Path):
    outcome, requests = judged(tmp_path, lambda request: "yes" if "cup?" in request.prompt else "no")
    assert [request.system for request in requests] == ["\nSay yes or no.\n"] * 2
    assert requests[0].prompt == 'Prompt: "a cup"\nQuestion: "Is there a cup?"'
    assert isinstance(outcome, Score)
    assert outcome.value == 0.5
    assert [(one.text, one.tag, one.verdict) for one in outcome.questions] == [
        ("Is there a cup?", "pos", 1.0),
        ("Is there no dog?", "neg", 0.0),
    ]
    _, (first, _) = judged(tmp_path, lambda request: "yes", path="gemini")
    assert first.system == ""
    assert first.prompt == '\nSay yes or no.\n\nPrompt: "a cup"\nQuestion: "Is there a cup?"'


@pytest.mark.parametrize(
    ("reply", "vllm", "gemini", "corrected"),
    [
        ("yes", 1.0, 1.0, 1.0),
        ("Yes", None, 1.0, 1.0),
        ("**No.**", None, 0.0, 0.0),
        ("Yes.\n\nno", 0.0, 1.0, None),
        ("no... yes", 1.0, 1.0, None),
        ("not visible", None, None, None),
        ("nothing but yes", 1.0, 1.0, None),
        ("I cannot see, so I'd say no cup", 0.0, 0.0, None),
        ("<think>yes", 1.0, 1.0, None),
        ("<think>yes</think>\n\nNo", 1.0, 1.0, 0.0),
    ],
)
def test_what_each_reader_makes_of_a_reply(
    tmp_path: Path, reply: str, vllm: float | None, gemini: float | None, corrected: float | None
):
    ways = (("vllm", "reference", vllm), ("gemini", "reference", gemini), ("vllm", "corrected", corrected))
    for path, semantics, expected in ways:
        outcome, _ = judged(tmp_path, lambda request: reply, semantics, path)
        assert [one.verdict for one in outcome.questions] == [expected] * 2, (path, semantics)
        assert isinstance(outcome, Score) == (expected is not None)


def test_an_unanswered_question_leaves_the_mean_and_is_counted(tmp_path: Path):
    outcome, requests = judged(tmp_path, lambda request: "yes" if "cup?" in request.prompt else "maybe")
    assert isinstance(outcome, Score)
    assert (outcome.value, outcome.parts["unanswered"]) == (1.0, 1.0)
    assert len(requests) == 2  # what was said is not asked again, only what was empty


def test_empty_answers_are_asked_again_with_more_room(tmp_path: Path):
    outcome, requests = judged(tmp_path, lambda request: "" if request.repeat < 2 else "no")
    assert isinstance(outcome, Score)
    assert [request.max_tokens for request in requests] == [512, 512, 2048, 2048, 8192, 8192]
    silent, requests = judged(tmp_path, lambda request: " \n ")
    assert isinstance(silent, Unscored)
    assert silent.why is Why.UNREADABLE
    assert len(requests) == 6


def test_a_thought_that_was_cut_off_is_given_more_room(tmp_path: Path):
    def answer(request: Request) -> Any:
        if request.max_tokens < 2048:
            cut = Reply(text="", model="m", finish="length", thought="is there a")
            return Unscored(why=Why.TRUNCATED, detail="cut off", replies=(cut,))
        return Reply(text="yes", model="m", thought="there is")

    outcome, requests = judged(tmp_path, answer, model="Qwen3-VL-8B-Thinking")
    assert isinstance(outcome, Score)
    assert outcome.value == 1.0
    assert [request.max_tokens for request in requests] == [512, 512, 2048, 2048]
    assert [reply.thought for reply in outcome.replies] == ["is there a", "there is"] * 2


def test_a_thinking_judge_answers_behind_the_tag_or_apart(tmp_path: Path):
    assert [thinks(name) for name in ("Qwen3-VL-8B-Thinking", "Qwen3.5-9B", "Qwen3_5_9B", "Qwen3-VL-8B-Instruct")] == [
        True,
        True,
        True,
        False,
    ]
    for reply, expected in (
        ("no cup</think>\n\nyes", 1.0),
        ("no cup</think>\nyes", None),  # one line end: officially empty
        ("yes, I think", None),
        (Reply(text="yes", model="m", thought="no cup"), 1.0),  # told apart by the server
    ):
        outcome, _ = judged(tmp_path, lambda request, reply=reply: reply, model="Qwen3-VL-8B-Thinking")  # type: ignore[misc]
        assert (outcome.value if isinstance(outcome, Score) else None) == expected, reply


def test_the_overall_needs_all_dimensions_and_has_an_interval():
    pictures = [
        Picture(id=f"{name}-{prompt:03d}-{picture}", verdicts=(1, 0 if prompt % 2 else 1, None))
        for name in DIMENSIONS
        for prompt in range(1, 7)
        for picture in range(2)
    ]
    summary = summarise(pictures)
    assert summary.mean_of(DIMENSIONS) == pytest.approx(0.75)
    low, high = summary.interval
    assert low is not None
    assert high is not None
    assert 0.6 < low < 0.75 < high < 0.9
    assert (summary.dimensions["C-MI"].questions, summary.dimensions["C-MI"].silent) == (36, 12)
    part = summarise(picture for picture in pictures if not picture.id.startswith("R-RR"))
    assert (part.mean_of(DIMENSIONS), part.interval) == (None, (None, None))
    assert "overall (mean of 12): none" in str(part)


def test_a_run_from_pictures_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, pictures = write_corebench(tmp_path / "data"), tmp_path / "pictures"
    for name in ("C-MI/C-MI-001-0", "C-MI/C-MI-002-0", "R-LR/R-LR-001-0"):
        paint(pictures / f"{name}.png")
    model = answers(tmp_path, {"no dog in C-MI": "no", "no dog": "unclear", "cup": "yes"})
    out = tmp_path / "run"
    command = ["bench", "t2i-corebench", "--categories", "C-MI,R-LR", "--images-per-prompt", "1", "--out", str(out)]
    assert run([*command, "--data", str(data), "--images", str(pictures), "--judge-model", str(model)]) == 0
    capsys.readouterr()
    written = json.loads((out / "C-MI-judged.json").read_text())
    assert written["mean_score"] == 0.5
    assert [one["score"] for one in written["C-MI-002-0"]["Checklist"]] == [1, 0]
    assert json.loads((out / "R-LR-judged.json").read_text())["R-LR-001-0"]["image_score"] == 1.0
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["overall"], summary["dimensions"]["R-LR"]["no_verdict"]) == (None, 1)
    rows = json.loads((out / "C-MI-judged.json").read_text())
    rows["C-MI-001-0"]["Checklist"][0]["question"] = "Another question?"
    (out / "C-MI-judged.json").write_text(json.dumps(rows))
    assert run(["bench", "t2i-corebench", "--data", str(data), "--results", str(out), "--json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)["dimensions"]
    assert (found["C-MI"]["mean"], found["C-MI"]["no_verdict"], found["R-LR"]["mean"]) == (0.25, 1, 1.0)
    assert "1 verdicts are on other prompts or questions and left out" in told.err
    assert "no picture of C-MA" in told.err


def test_a_dry_run_counts_a_call_a_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, model = write_corebench(tmp_path / "data"), answers(tmp_path, {})
    command = ["bench", "t2i-corebench", "--data", str(data), "--images", str(tmp_path), "--judge-model", str(model)]
    assert run([*command, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["prompts"], found["model_calls"], found["answer_tokens_at_most"]) == (13, 104, 104 * 512)


def test_files_of_several_judges_and_foreign_files_are_one_line(tmp_path: Path):
    for name in ("C-MI-one.json", "C-MA-other.json"):
        (tmp_path / name).write_text('{"mean_score": ""}')
    with pytest.raises(DataError, match=r"result files of several judges \(one, other\)"):
        run(["bench", "t2i-corebench", "--results", str(tmp_path)])
    with pytest.raises(DataError, match="no picture in these results"):
        run(["bench", "t2i-corebench", "--results", str(tmp_path / "C-MI-one.json")])
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="expected an object with pictures and mean_score"):
        run(["bench", "t2i-corebench", "--results", str(tmp_path / "x.json")])
