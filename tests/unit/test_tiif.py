"""TIIF-Bench from end to end on a few made-up prompts: what is asked, read, written and summed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.tiif.asking import FACT, TiifSettings, build_judge
from benchmarks.tiif.reading import read_certainly
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from tests.board_files import Shop, answers, paint, write_tiif

QUESTIONS = [{"text": "Is a cup there?"}, {"text": "Is a dog there?", "answers": "no"}]


def judged(
    folder: Path, answer: Callable[[Request], Any], semantics: str = "reference", seed: int = 4
) -> tuple[Outcome, list[Request]]:
    shop = Shop(answer)
    settings = TiifSettings(vlm={"use": "any"}, data=write_tiif(folder), semantics=semantics)  # type: ignore[arg-type]
    sample = Sample(id="s", prompt="a cup", image=Image.new("RGB", (4, 4)), seed=seed, meta={FACT: QUESTIONS})
    (outcome,) = build_judge(settings, shop).judge([sample])
    return outcome, shop.model.requests


def test_the_judge_is_asked_in_one_of_three_templates_and_the_sample_says_which(tmp_path: Path):
    outcome, (request,) = judged(tmp_path, lambda request: "Yes, it is.\nNo dog.")
    assert request.prompt == "Second: Is a cup there?\nIs a dog there?"
    assert (request.system, request.temperature, request.seed, request.pictures_last) == ("Be a critic.", 1.0, 4, True)
    assert isinstance(outcome, Score)
    assert outcome.value == 1.0
    assert [judged(tmp_path, lambda request: "", seed=seed)[1][0].prompt[:5] for seed in (3, 5)] == ["First", "Third"]
    corrected, (request,) = judged(tmp_path, lambda request: "1. no\n2. **yes**", "corrected")
    assert (request.prompt[:5], request.temperature) == ("First", 0.0)
    assert isinstance(corrected, Score)
    assert [one.verdict for one in corrected.questions] == [0.0, 0.0]


@pytest.mark.parametrize("semantics", ["reference", "corrected"])
@pytest.mark.parametrize("reply", ["", "yes", "yes\nno\nno", "I see a cup and no dog.", "maybe\nperhaps"])
def test_a_reply_with_other_lines_is_asked_for_ten_times_and_makes_no_number(
    tmp_path: Path, reply: str, semantics: str
):
    outcome, requests = judged(tmp_path, lambda request: reply, semantics)
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNREADABLE
    assert [request.repeat for request in requests] == [*range(10)]


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("yes - it is there\nno", ["yes", "no"]),
        ("- Yes.\n* **No**, not seen", ["yes", "no"]),
        ("<think>\nyes\n</think>\n1) no\n2) yes", ["no", "yes"]),
        ("Here are my answers:\nyes\nno", None),
        ("No.1 is red\nyes", None),
        ("yes or no\nno", None),
        ("yes  \nIt is in front.\n\nno\nNothing like it.", ["yes", "no"]),
        ("yes\nno\nno dog", None),
        ("<think>yes\nno", None),
        ("No, I cannot see the image.\nNo, I cannot see the image.", None),
        ("yes\nno\nPlease upload the picture.", None),
        ("yes A ball is there.\nno There is no picture, so it cannot be red.", ["yes", "no"]),
        ("2. yes\n1. no", ["no", "yes"]),
        ("**2.** yes, a dog\n**1.** no", ["no", "yes"]),
        ("1. yes\nThere are 2.\n2. no", ["yes", "no"]),
        ("yes\n1. a reason\nno", ["yes", "no"]),
        ("1. yes\n1. no", None),
        ("1. yes\nno", None),
        ("1. yes\n2. perhaps\n3. no", None),
        ("yes The cup is there.\nno The dog is not in the image.", ["yes", "no"]),
        ("yes?\nno", None),
        ("yes\nno\nWait, the dog is there.", None),
    ],
)
def test_the_certain_reader_begins_with_a_verdict_and_counts_them(text: str, verdicts: list[str] | None):
    if verdicts is None:
        with pytest.raises(UnreadableReply):
            read_certainly(text, 2)
    else:
        assert read_certainly(text, 2) == verdicts


def test_the_certain_readers_time_grows_with_the_length():
    for mark in " *_'`\"->(1.\n\t":
        for begin in ("", "yes\n", "1. yes\n2. "):
            with suppress(UnreadableReply):
                read_certainly(begin + mark * 20_000, 1, "stop")


def test_a_run_from_pictures_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, pictures = write_tiif(tmp_path / "data"), tmp_path / "pictures"
    for attribute in ("numeracy", "negation"):
        for length in ("short", "long"):
            for at in range(2):
                paint(pictures / f"{attribute}/mine/{length}_description/{at}.png")
    model = answers(tmp_path, {"Is 0 there?": "yes\nno", "Is 1 there?": "no\nno"})
    out = tmp_path / "run"
    command = ["bench", "tiif,model=mine", "--categories", "numeracy,negation", "--out", str(out), "--data", str(data)]
    assert run([*command, "--images", str(pictures), "--judge-model", str(model)]) == 0
    printed = capsys.readouterr().err
    assert "Basic_Reasoning: 0.7500 short, 0.7500 long" in printed
    written = json.loads((out / "tiif/numeracy/long/1.json").read_text())
    assert (written["gt_answers"], written["model_pred"]) == (["yes", "no"], ["no", "no"])
    assert json.loads((out / "summary.json").read_text())["attributes"]["negation"]["short"]["correct"] == 3
    (out / "tiif/numeracy/long/0.json").write_text("broken")
    assert run(["bench", "tiif", "--results", str(out / "tiif"), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["attributes"]["numeracy"]["long"] == {"accuracy": 0.5, "correct": 1, "total": 2}
    assert "1 files cannot be read and are not counted" in told.err
    assert "no verdict on shape+color" in told.err


def test_read_texts_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "ocr.json"
    read = [[[[0, 0]], ["Drink tea", 0.9]]]
    rows = [{"text": ["drink", "tea"], "short_image_ocr_results": read, "long_image_ocr_results": []}]
    path.write_text(json.dumps(rows))
    assert run(["bench", "tiif", "--results", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "short: GNED 0.0000 (lower is better), recall 1.0000, 1 pictures" in printed
    assert "long: GNED 1.0000" in printed
    path.write_text("{}")
    with pytest.raises(DataError, match="no row in this file"):
        run(["bench", "tiif", "--results", str(path)])
    path.write_text('[{"text": 3}]')
    with pytest.raises(DataError, match="expected rows with text"):
        run(["bench", "tiif", "--results", str(path)])
    with pytest.raises(DataError, match="expected a model's verdict files"):
        run(["bench", "tiif", "--results", str(tmp_path)])


def test_a_dry_run_counts_one_call_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, model = write_tiif(tmp_path / "data"), answers(tmp_path, {})
    command = ["bench", "tiif", "--categories", "numeracy", "--data", str(data), "--images", str(tmp_path)]
    assert run([*command, "--judge-model", str(model), "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["prompts"], found["model_calls"], found["answer_tokens_at_most"]) == (4, 4, 4 * 2048)


def test_questions_and_prompts_must_fit(tmp_path: Path):
    data = write_tiif(tmp_path / "data")
    path = data / "numeracy_eval_prompts.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    command = ["bench", "tiif", "--categories", "numeracy", "--data", str(data), "--images", str(tmp_path)]
    with pytest.raises(DataError, match="1 rows of questions for 2 prompts"):
        run([*command, "--judge-model", str(answers(tmp_path, {}))])
