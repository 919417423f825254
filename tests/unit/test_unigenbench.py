"""UniGenBench++ from end to end on a few made-up prompts: what is asked, read, written and summed up."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.checklist.encoding import through_jpeg
from benchmarks.unigenbench.asking import FACT, UniGenBenchSettings, build_judge
from benchmarks.unigenbench.prompts import read_items
from benchmarks.unigenbench.reading import read_verdicts
from benchmarks.unigenbench.results import Picture, add_up
from benchmarks.unigenbench.wording import read_wording
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from tests.board_files import Shop, answers, paint, write_unigenbench

PICTURE = Image.radial_gradient("L").convert("RGB").resize((24, 24))
KINDS = ["Attribute - Color", "Style"]
GOOD = "<analysis>['a', \"b's\"]</analysis><score>[1, 0]</score>"


def judged(
    folder: Path, answer: Callable[[Request], Any], semantics: str = "reference", path: str = "vllm", kinds: Any = KINDS
) -> tuple[Outcome, list[Request]]:
    shop = Shop(answer)
    settings = UniGenBenchSettings(vlm={"use": "any"}, data=write_unigenbench(folder), semantics=semantics)  # type: ignore[arg-type]
    judge = build_judge(path, settings, shop)  # type: ignore[arg-type]
    fact = {"index": 0, "language": "en", "kinds": kinds, "descriptions": ["red", "a photograph"]}
    (outcome,) = judge.judge([Sample(id="s", prompt="a {red} cup", image=PICTURE, meta={FACT: fact})])
    return outcome, shop.model.requests


def test_open_judges_see_jpeg_before_the_text_and_gemini_pixels_behind_it(tmp_path: Path):
    outcome, (request,) = judged(tmp_path, lambda request: GOOD)
    assert request.prompt == (
        "Of 「a {red} cup」 judge ['Attribute - Color', 'Style'].\n"
        "Definitions:「\nAttribute - Color: colours\nStyle: styles\n」\n"
        "Descriptions:「\nAttribute - Color: red\nStyle: a photograph\n」\n"
        "Write <score>."
    )
    assert request.images[0].tobytes() == through_jpeg(PICTURE, 95).tobytes() != PICTURE.tobytes()
    assert (request.pictures_last, request.max_tokens) == (False, 4096)
    assert isinstance(outcome, Score)
    assert outcome.value == 0.5
    assert [(one.tag, one.text, one.verdict) for one in outcome.questions] == [
        ("Attribute - Color", "red", 1.0),
        ("Style", "a photograph", 0.0),
    ]
    for path, semantics in (("gemini", "reference"), ("vllm", "corrected")):
        _, (other,) = judged(tmp_path, lambda request: GOOD, semantics, path)
        assert other.images[0].tobytes() == PICTURE.tobytes()
        assert other.pictures_last == (path == "gemini")


@pytest.mark.parametrize(
    ("reply", "calls"),
    [
        ("", 11),
        ("I cannot do this.", 11),
        ("<analysis>['a', 'b']</analysis><score>[1]</score>", 11),
        ("<think>I will write <score>[0 or 1]</score></think>" + GOOD, 11),
        ("<analysis>['a', 'b']</analysis><score>1</score>", 1),  # the official run ends here
        ("<analysis>['a', 'b']</analysis><score>[True, False]</score>", 1),  # accepted, and lost in the sums
        ("<analysis>['a', 'b']</analysis><score>'10'</score>", 1),
    ],
)
def test_a_reply_without_two_lists_makes_no_verdict(tmp_path: Path, reply: str, calls: int):
    outcome, requests = judged(tmp_path, lambda request: reply)
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNREADABLE
    assert len(requests) == calls
    assert [kept.text for kept in outcome.replies] == [reply] * calls
    assert [one.verdict for one in outcome.questions] == [None, None]


@pytest.mark.parametrize(
    ("reply", "verdicts"),
    [
        (GOOD, [True, False]),
        ("<think>perhaps <score>[0, 0]</score></think>" + GOOD, [True, False]),
        ("<analysis>broken 'list</analysis>\n<Score>[ 1, 0, ]</Score>", [True, False]),
        ("<score>[1, 0]</score> and <score>[0, 0]</score>", None),
        ("I cannot judge it; the form would be <score>[1, 0]</score>, with your marks.", None),
        ("```xml\n<description>" + GOOD + "\n</description>\n```", [True, False]),
        ("<score>[1.0, 0.0]</score>\n<analysis>['a', 'b']</analysis>", [True, False]),
        ("I'm sorry, I cannot analyze the image. Still:\n" + GOOD, None),
        ("<score>[1, 2]</score>", None),
        ("<score>[1, 0.5]</score>", None),
        ("<score>[True, False]</score>", None),
        ("<score>[1, 0, 1]</score>", None),
        ("<score>['1', '0']</score>", None),
        ("[1, 0]", None),
        ("<think><score>[1, 0]</score>", None),
    ],
)
def test_the_certain_reader(reply: str, verdicts: list[bool] | None):
    if verdicts is None:
        with pytest.raises(UnreadableReply):
            read_verdicts(reply, 2)
    else:
        assert read_verdicts(reply, 2) == verdicts


def test_a_kind_without_a_definition_and_a_foreign_fact_are_no_input(tmp_path: Path):
    for kinds in (["Attribute - Weight", "Style"], ["Style"]):
        outcome, requests = judged(tmp_path, lambda request: GOOD, kinds=kinds)
        assert isinstance(outcome, Unscored)
        assert (outcome.why, requests) == (Why.NO_INPUT, [])


def test_the_row_without_a_comma_is_mended_and_says_so(tmp_path: Path):
    folder = write_unigenbench(tmp_path)
    (item,) = read_items(folder / "test_prompts_en_long.csv", "en_long")
    assert (item.index, item.kinds, item.mended) == (509, ("Attribute - Color", "Style"), True)
    broken = folder / "test_prompts_en.csv"
    broken.write_text(broken.read_text().replace('""Style""]', '""Style""'))
    with pytest.raises(DataError, match=r"test_prompts_en\.csv:2: no prompt with its test points"):
        read_items(broken, "en")


def test_other_wording_is_told(tmp_path: Path):
    path = tmp_path / "eval_common.py"
    path.write_text("LANG_CONFIGS = {'en': {'explanation_dict': {}, 'system_prompt_template': '{other}'}}")
    with pytest.raises(DataError, match="expected the judge's wording in LANG_CONFIGS"):
        read_wording(path, "en")


def test_sums_have_intervals_over_prompts_and_name_thin_kinds():
    pictures = [
        Picture(index=str(prompt), kinds=("Attribute - Color", "Style"), verdicts=(prompt % 2 == 0, True))
        for prompt in range(30)
        for _ in range(4)
    ]
    summary = add_up([*pictures, Picture(index="30", kinds=("Style",), verdicts=None)])
    color = summary.kinds["Attribute - Color"]
    assert (color.correct, color.total, color.prompts, color.accuracy) == (60, 120, 30, 0.5)
    low, high = color.interval
    assert low is not None
    assert high is not None
    assert 0.25 < low < 0.36  # 30 prompts of four like pictures, and not 120 pictures
    assert 0.64 < high < 0.75
    assert summary.thin == {"Attribute - Color": 30, "Style": 30}
    assert "2 of 2 kinds stand on fewer than 50 prompts (the fewest on 30)" in str(summary)
    assert "1 pictures have no verdicts" in str(summary)
    assert summary.json()["primary_dimensions"]["Attribute "]["accuracy"] == 0.5  # type: ignore[index, call-overload]


def test_a_run_from_pictures_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, pictures = write_unigenbench(tmp_path / "data"), tmp_path / "pictures"
    for name in ("en/0_0", "en/0_1", "en/7_0", "en/7_1", "en_long/509_0", "en_long/509_1"):
        paint(pictures / f"{name}.png")
    model = answers(
        tmp_path, {"two red cups": GOOD, "a cat": "<analysis>['x']</analysis><score>[1]</score>", "long": GOOD}
    )
    out = tmp_path / "run"
    command = ["bench", "unigenbench", "--categories", "en,en_long", "--images-per-prompt", "2", "--out", str(out)]
    assert run([*command, "--data", str(data), "--images", str(pictures), "--judge-model", str(model)]) == 0
    printed = capsys.readouterr().err
    assert "note: prompt 509 is read with a comma that the authors' file lacks" in printed
    assert "3 of 3 kinds of test points stand on fewer than 50 prompts (the fewest on 1)" in printed
    assert "our overall (share of all test points; the official script has none): 4/6" in printed
    rows = list(csv.DictReader((out / "unigenbench_en.csv").read_text().splitlines()))
    assert [row["index"] for row in rows] == ["0", "0", "7", "7"]
    summary = json.loads((out / "unigenbench_en.json").read_text())
    assert summary["sub_dimensions"]["Attribute - Color"]["correct"] == 2
    assert summary["primary_dimensions"]["Action "]["accuracy"] == 1.0
    assert (out / "unigenbench_en_long.csv").is_file()
    capsys.readouterr()
    assert run(["bench", "unigenbench", "--results", str(out / "unigenbench_en.csv"), "--images-per-prompt", "2"]) == 0
    told = capsys.readouterr()
    assert "Action: 2/2 = 1.0000" in told.out
    assert "2 of 600 prompts have a row" in told.err


def test_a_dry_run_counts_one_call_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, model = write_unigenbench(tmp_path / "data"), answers(tmp_path, {})
    command = ["bench", "unigenbench,judge=gemini", "--data", str(data), "--images", str(tmp_path)]
    assert run([*command, "--judge-model", str(model), "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["prompts"], found["model_calls"], found["answer_tokens_at_most"]) == (5, 20, 20 * 4096)


def test_a_foreign_file_of_results_is_one_line(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="there is no column index"):
        run(["bench", "unigenbench", "--results", str(path)])
    path.write_text("index,testpoint,result_json\n0,\"['Style']\",null\n")
    with pytest.raises(DataError, match="no verdict in this file"):
        run(["bench", "unigenbench", "--results", str(path)])
