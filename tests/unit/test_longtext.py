"""LongText-Bench: prompts, layout, judge, totals and results, on made-up texts worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.doctor.ocr import Sign, draw
from benchmarks.longtext import LongTextSuite
from benchmarks.longtext.texts import clean, compare
from benchmarks.rendered_text import Match, micro_interval
from benchmarks.semantics import UndefinedScoreError
from gotr1_eval import run_benchmark
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Reply, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.layouts import write_layout
from tests.fakes import ScriptedVlm

SCRIPT = """
class Evaluator:
    def __init__(self):
        self.qwen_prompt = ("Read it, "
                            "please.")
"""


def write_data(folder: Path) -> Path:
    rows = {
        "text_prompts.jsonl": [("a sign", 0, ["OPEN daily", "9 to 5"]), ("a book", 7, ["the end"])],
        "text_prompts_zh.jsonl": [("招牌", 3, ["营业 OK"])],
    }
    for name, prompts in rows.items():
        lines = [json.dumps({"prompt": p, "prompt_id": n, "text": t}, ensure_ascii=False) for p, n, t in prompts]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "evaluate_text_reward.py").write_text(SCRIPT)
    return folder


def sample(folder: Path, category: str, index: int, picture: object = None) -> Sample:
    facts = dict(LongTextSuite(folder).facts(category, index))
    return Sample(id=f"longtext/{category}/0000{index}/0", prompt="p", image=picture, meta={**facts, "image_index": 0})


def reader(monkeypatch: pytest.MonkeyPatch, folder: Path, reply: object, **settings: object):
    builder, vlm = Builder(), ScriptedVlm(lambda request: reply)
    monkeypatch.setattr(builder, "vlm", lambda spec: vlm)
    spec = {"use": "longtext", "ocr": {"use": "vlm", "vlm": {"use": "x"}}, "data": str(folder), **settings}
    return builder.judge(spec), vlm


def test_by_hand_words_of_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Wanted: open daily 9 to 5. Read: 9, daily, open once more than wanted, and a word that counts for nothing."""
    judge, vlm = reader(monkeypatch, write_data(tmp_path), "daily! 9\nOpen open extra")
    (outcome,) = judge.judge([sample(tmp_path, "en", 0, Image.new("RGB", (8, 8)))])
    assert isinstance(outcome, Score)
    assert outcome.value == 3 / 5
    assert outcome.parts == {"matched": 3, "wanted": 5}
    assert outcome.note == "not read: to, 5"
    assert outcome.replies[0].text == "daily! 9\nOpen open extra"
    assert (vlm.requests[0].prompt, vlm.requests[0].max_tokens) == ("Read it, please.", 1024)
    assert judge.name == "longtext[scripted X-Omni request, as it is, mean over pictures, reference]"
    calls = judge.calls(sample(tmp_path, "en", 0))
    assert (calls.calls, calls.characters, calls.answer_tokens_at_most) == (1, len("Read it, please."), 1024)


def test_a_model_may_be_given_another_request_and_its_name_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ocr = {"use": "vlm", "vlm": {"use": "x"}, "request": "What is written?", "wording": "my"}
    judge, vlm = reader(monkeypatch, tmp_path, "OPEN", ocr=ocr)
    judge.judge([sample(write_data(tmp_path), "en", 0, Image.new("RGB", (8, 8)))])
    assert vlm.requests[0].prompt == "What is written?"
    assert "scripted my request" in judge.name


def test_chinese_is_compared_by_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = write_data(tmp_path)
    for semantics, expected in (("reference", 2 / 4), ("corrected", 4 / 4)):
        judge, _ = reader(monkeypatch, data, "业营ok", semantics=semantics)
        (outcome,) = judge.judge([sample(tmp_path, "zh", 0, Image.new("RGB", (8, 8)))])
        assert outcome.value == expected  # Chinese texts are not put into lower case by the script


@pytest.mark.parametrize(
    ("text", "reference", "corrected"),
    [
        ("addCriterion OPEN", "addCriterion OPEN", " OPEN"),
        ("No text recognized.", "", ""),
        ("No text recognized", "No text recognized", "No text recognized"),
    ],
)
def test_the_scripts_own_phrases_are_removed(text: str, reference: str, corrected: str):
    assert (clean(text, "reference"), clean(text, "corrected")) == (reference, corrected)


def test_corrected_keeps_every_letter(tmp_path: Path):
    assert compare(["Åse Œuvre"], "åse œuvre", "en", "corrected").matched == 2
    assert compare(["Åse Œuvre"], "se uvre", "en", "reference").matched == 2  # signs outside the list are deleted
    assert compare(["cafe\u0301"], "café", "en", "corrected").matched == 1
    with pytest.raises(UndefinedScoreError):
        compare(["...", ""], "x", "en", "corrected")


def test_what_was_not_read_or_cannot_be_compared_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lost = Unscored(why=Why.BACKEND, detail="gone")
    judge, _ = reader(monkeypatch, write_data(tmp_path), lost)
    picture = Image.new("RGB", (8, 8))
    one = sample(tmp_path, "en", 0, picture)
    nothing = {"language": "en", "prompt_id": 1, "text": ["!"]}
    empty = Sample(id="e", prompt="", image=picture, meta={"longtext": nothing})
    other = Sample(id="o", prompt="", image=picture, meta={"longtext": {"language": "fr"}})
    assert [outcome.why for outcome in judge.judge([one, sample(tmp_path, "en", 0)])] == [Why.BACKEND, Why.NO_INPUT]
    judge, _ = reader(monkeypatch, tmp_path, Reply(text="x", model="m"))
    assert [outcome.why for outcome in judge.judge([empty, other])] == [Why.UNDEFINED, Why.NO_INPUT]


def test_pictures_are_written_and_read_by_prompt_id(tmp_path: Path):
    suite = LongTextSuite(write_data(tmp_path))
    made = []
    for category, index in (("en", 0), ("en", 1), ("zh", 0)):
        path = tmp_path / f"{category}{index}.png"
        Image.new("RGB", (4, 4)).save(path)
        made.append(sample(tmp_path, category, index, path))
    out = tmp_path / "out"
    assert write_layout(suite.layout, made, made, out) == 3
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.png")) == ["en/0_0.png", "en/7_0.png", "zh/3_0.png"]
    places = ["en/0_0.png", "en/7_0.png", "zh/3_0.png"]
    assert suite.layout.match(out, made).paths == {one.id: out / place for one, place in zip(made, places, strict=True)}
    (out / "en" / "7.png").write_bytes(path.read_bytes())
    found = suite.layout.match(out / "en", made[:2])
    assert found.paths[made[1].id].name == "7.png"  # before 7_0.png in the script's order
    assert "1 pictures are beyond" in found.remarks[0]
    (out / "en" / "other.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"other.png: expected <prompt id>.png"):
        suite.layout.match(out / "en", made[:2])


def test_a_run_writes_official_results_that_come_to_the_same(tmp_path: Path):
    pytest.importorskip("rapidocr")
    data, pictures = write_data(tmp_path), tmp_path / "pictures"
    for name, text in (("0_0", "OPEN daily"), ("7_0", "the end")):
        (pictures / "en").mkdir(parents=True, exist_ok=True)
        draw(Sign((text,), 48, "black", "white")).save(pictures / "en" / f"{name}.png")
    run = tmp_path / "run"
    run_benchmark(
        suite="longtext", categories="en", data=data, images=pictures, images_per_prompt=1, ocr="rapidocr", out=run
    )
    summary = json.loads((run / "summary.json").read_text())
    assert summary["judge"] == "longtext[rapidocr pp-ocrv6-small, as it is, mean over pictures, reference]"
    assert (summary["en"]["matched"], summary["en"]["wanted"], summary["en"]["prompts"]) == (4, 7, 2)
    again = LongTextSuite(data).sum_up_results(run / "results_en.jsonl", None)
    assert again.content["en"]["text_accuracy"] == summary["en"]["text_accuracy"] == 4 / 7
    assert "text accuracy 0.5714 (4 of 7" in again.text


def test_results_that_were_summed_up_already_are_not_read_letter_by_letter(tmp_path: Path):
    path = tmp_path / "results.jsonl"
    plain = {"ocr_gt": ["the end"], "ocr_results": "the End"}
    summed = {"ocr_gt": "the end", "ocr_results": "the end", "match_word_count": 2, "gt_word_count": 2}
    empty = {"ocr_gt": ["!"], "ocr_results": ""}
    path.write_text("\n".join(map(json.dumps, (plain, summed, empty))))
    found = LongTextSuite(None).sum_up_results(path, None)
    assert found.content["en"]["text_accuracy"] == 1.0
    assert [gap.split()[0] for gap in found.gaps] == ["1", "1"]
    path.write_text(json.dumps({"prompt": "p"}))
    with pytest.raises(DataError, match="expected ocr_gt"):
        LongTextSuite(None).sum_up_results(path, None)


def test_the_interval_draws_whole_prompts():
    """Two prompts of ten words each, all read or none: anything may come out; alike prompts leave nothing open."""
    assert micro_interval([[Match(10, 10, ())], [Match(0, 10, ())]]) == (0.0, 1.0)
    assert micro_interval([[Match(5, 10, ())]] * 3) == (0.5, 0.5)
    assert micro_interval([[Match(5, 10, ())]]) == (None, None)


def test_another_file_of_prompts_is_told(tmp_path: Path):
    (tmp_path / "text_prompts.jsonl").write_text('{"prompt": "a", "prompt_id": 1}\n')
    with pytest.raises(DataError, match="a list of texts"):
        LongTextSuite(tmp_path).prompts("en")
