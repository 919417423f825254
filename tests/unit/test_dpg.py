"""DPG-Bench: its file, grids, judges, totals and results, on made-up propositions worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.dpg_bench import DpgSuite, Settings, judged_files
from benchmarks.dpg_bench.propositions import FACT, make_items, questions_of, read_items
from benchmarks.dpg_bench.results import read_detail
from benchmarks.dpg_bench.totals import total
from gotr1_eval import run_benchmark
from gotr1_eval.build import Builder
from gotr1_eval.core.checklist import ChecklistError
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.layouts import write_layout

HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language"
)
LINES = [
    "first,a red cat,,1,0,,,entity - whole (cat),Is there a cat?",
    'first,a red cat,,2,"0, 1",,,"attribute - color (cat, red)",Is the cat red?',
    'second7,"a blue bench, and a dog",,2,1,,,"attribute - color (bench, blue)","Is the bench, if any, blue?"',
    'second7,"a blue bench, and a dog",,1,0,,,entity - whole (bench),Is there a bench?',
    'second7,"a blue bench, and a dog",,3,"2",,,relation - spatial (bench),Is it in front?',
]
COLOURS = ["red", "blue", "green", "yellow"]
CELLS = {name: Image.new("RGB", (1, 1), name).getpixel((0, 0)) for name in COLOURS}


def write_data(folder: Path, lines: Sequence[str] = LINES) -> Path:
    path = folder / "dpg_bench.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def write_grids(folder: Path, names: Sequence[str] = ("first", "second7")) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        grid = Image.new("RGB", (16, 16))
        for place, colour in enumerate(COLOURS):
            grid.paste(colour, (place % 2 * 8, place // 2 * 8, place % 2 * 8 + 8, place // 2 * 8 + 8))
        grid.save(folder / f"{name}.png")
    return folder


class SeesColours:
    """Answers by the cell's colour: yes to whatever the table has, and counts its calls."""

    name = fingerprint = "sees-colours"

    def __init__(self, yes: dict[str, set[str]]) -> None:
        self.yes, self.calls = yes, list[tuple[int, int]]()

    def probability(self, images, questions):
        raise AssertionError("its own words are asked for")

    def answer(self, images, questions):
        self.calls.append((len(images), sum(map(len, questions))))
        names = [next(n for n, c in CELLS.items() if c == image.getpixel((0, 0))) for image in images]
        return [["yes" if q in self.yes[n] else "Yes." for q in each] for n, each in zip(names, questions, strict=True)]


def judge(model: object, monkeypatch: pytest.MonkeyPatch, **settings: object):
    builder = Builder()
    monkeypatch.setattr(builder, "yes_no", lambda spec: model)
    return builder.judge({"use": "dpg", "yes_no": "any", **settings})


def test_the_file_is_read_and_what_the_official_reader_loses_is_marked(tmp_path: Path):
    first, second = read_items(write_data(tmp_path))
    assert (first.id, first.prompt, second.prompt) == ("first", "a red cat", "a blue bench, and a dog")
    assert [one.lost for one in first.propositions] == [True, False]
    assert [question.id for question in questions_of(first, "reference")] == ["2"]
    assert [question.id for question in questions_of(first, "corrected")] == ["1", "2"]
    assert [(q.id, q.parents, q.tag) for q in questions_of(second, "reference")] == [
        ("2", ("1",), "attribute - color"), ("1", (), "entity - whole"), ("3", ("2",), "relation - spatial"),
    ]  # fmt: skip
    assert [question.id for question in questions_of(second, "corrected")] == ["1", "2", "3"]


def test_an_item_in_two_pieces_loses_the_first(tmp_path: Path):
    first = read_items(write_data(tmp_path, [*LINES, "first,a red cat,,3,0,,,entity - part (tail),Has it a tail?"]))[0]
    assert [question.id for question in questions_of(first, "reference")] == ["3"]
    assert [question.id for question in questions_of(first, "corrected")] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("dependencies", "names", "told"),
    [(("0", "1", "0"), "abc", "AttributeError"), (("0", "0, 1", "0"), "123", "finds no item")],
)
def test_what_pandas_makes_of_numbers_ends_the_official_script(dependencies, names, told: str):
    rows = [
        {"item_id": name, "text": "", "proposition_id": "1", "dependency": one, "tuple": "global (x)",
         "question_natural_language": "?"}
        for name, one in zip(names, dependencies, strict=True)
    ]  # fmt: skip
    item = make_items(rows)[1]
    with pytest.raises(ChecklistError, match=told):
        questions_of(item, "reference")
    assert questions_of(item, "corrected")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n1,2\n", "expected DPG-Bench's propositions"),
        (f"{HEADER}\nx,p,,one,0,,,global (x),?\n", "expected whole numbers"),
        (f"{HEADER}\nx,p,,1,none,,,global (x),?\n", "expected whole numbers"),
    ],
)
def test_another_file_is_told_in_one_line(tmp_path: Path, content: str, told: str):
    (tmp_path / "dpg_bench.csv").write_text(content)
    with pytest.raises(DataError, match=told):
        DpgSuite(Settings(data=tmp_path)).prompts("all")


def test_by_hand_a_grid_and_its_totals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """second7: blue needs the bench, in front needs blue; the file has blue before the bench.

    red: all yes, 1. blue: no bench; `reference` sees blue's parent only after it was read: bench 0, so blue 0 and in
    front 0. green: not blue, in front 0 by its parent, bench 1. yellow: nothing.
    """
    bench, blue, front = "Is there a bench?", "Is the bench, if any, blue?", "Is it in front?"
    model = SeesColours(
        {"red": {bench, blue, front}, "blue": {blue, front}, "green": {bench, front}, "yellow": {front}}
    )
    suite = DpgSuite(Settings(data=write_data(tmp_path), pictures="grid"))
    grids = write_grids(tmp_path / "grids")
    sample = Sample(id="s", prompt="", image=grids / "second7.png", meta=dict(suite.facts("all", 1)))
    scorer = judge(model, monkeypatch, grid=True)
    (outcome,) = scorer.judge([sample])
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx((1 + 0 + 1 / 3 + 0) / 4)
    assert model.calls == [(4, 12)]  # each cell once, with all of its questions
    assert scorer.calls(sample).calls == 12
    files = judged_files([sample], {"s": outcome})
    reference, corrected = total(files, "reference"), total(files, "corrected")
    # The last cell alone, before anything was denied: in front was answered with yes.
    assert {name: mean.value for name, mean in reference.broad.items()} == {"attribute": 0, "entity": 0, "relation": 1}
    assert {name: mean.value for name, mean in corrected.broad.items()} == pytest.approx(
        {"attribute": 0.25, "entity": 0.5, "relation": 0.25}
    )


def test_single_pictures_of_a_prompt_are_added_up_as_its_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = SeesColours({"red": {"Is there a bench?"}, "blue": set(), "green": set(), "yellow": {"Is it in front?"}})
    suite = DpgSuite(Settings(data=write_data(tmp_path)))
    facts = dict(suite.facts("all", 1))
    samples = [
        Sample(id=f"s/{n}", prompt="", image=Image.new("RGB", (8, 8), colour), meta={**facts, "image_index": n})
        for n, colour in enumerate(COLOURS)
    ]
    outcomes = judge(model, monkeypatch).judge(samples)
    found = total(
        judged_files(reversed(samples), {s.id: o for s, o in zip(samples, outcomes, strict=True)}), "reference"
    )
    assert found.value == pytest.approx((1 / 3 + 0 + 0 + 0) / 4)
    assert found.broad["relation"].value == 1  # of the picture of the highest number, as it was answered
    assert (found.files, found.broad["relation"].questions) == (1, 1)


def test_a_lost_parent_that_is_reached_fails_the_item_under_reference_only(tmp_path: Path, monkeypatch):
    model = SeesColours({colour: {"Is the cat red?", "Is there a cat?"} for colour in COLOURS})
    suite = DpgSuite(Settings(data=write_data(tmp_path)))
    sample = Sample(id="s", prompt="", image=Image.new("RGB", (8, 8), "red"), meta=dict(suite.facts("all", 0)))
    reference, corrected = (
        judge(model, monkeypatch, semantics=name).judge([sample])[0] for name in ("reference", "corrected")
    )
    assert isinstance(reference, Unscored)
    assert (reference.why, reference.detail) == (Why.UNDEFINED, "question '2' names the parent '1', which is not there")
    assert isinstance(corrected, Score)
    assert corrected.value == 1


def test_a_model_without_words_of_its_own_answers_with_the_likelier_one(tmp_path: Path):
    suite = DpgSuite(Settings(data=write_data(tmp_path)))
    sample = Sample(id="s", prompt="", image=Image.new("RGB", (8, 8)), meta=dict(suite.facts("all", 1)))
    values = []
    for says in (0.75, 0.25):
        scorer = Builder().judge({"use": "dpg", "yes_no": {"use": "tests.plugins.fake_eyes", "says": says}})
        values.append(scorer.judge([sample])[0].value)
    assert values == [1.0, 0.0]
    assert scorer.name.startswith("dpg[fake-eyes, one question a call, exact, transitive dependency, mean, as it is")


def test_a_language_vision_model_is_another_metric(tmp_path: Path):
    suite = DpgSuite(Settings(data=write_data(tmp_path)))
    sample = Sample(id="s", prompt="", image=Image.new("RGB", (8, 8)), meta=dict(suite.facts("all", 1)))
    outcomes = [
        Builder()
        .judge({"use": "dpg_vlm", "vlm": {"use": "tests.plugins.scripted_vlm", "reply": reply}})
        .judge([sample])[0]
        for reply in ("Yes.", "No", "I cannot tell")
    ]
    assert [getattr(one, "value", None) for one in outcomes] == [1.0, 0.0, None]
    assert outcomes[2].why is Why.UNREADABLE


def test_grids_are_written_as_the_script_reads_them_and_read_back(tmp_path: Path):
    suite = DpgSuite(Settings(data=write_data(tmp_path)))
    grids = DpgSuite(Settings(data=tmp_path, pictures="grid"))
    samples = []
    for index in range(2):
        for number, colour in enumerate(COLOURS):
            path = tmp_path / f"{index}{number}.png"
            Image.new("RGB", (8, 8), colour).save(path)
            meta = {**suite.facts("all", index), "image_index": number}
            samples.append(Sample(id=f"dpg-bench/all/0000{index}/{number}", prompt="p", image=path, meta=meta))
    out = tmp_path / "layout"
    assert write_layout(suite.layout, samples, samples[:7], out) == 4  # the second prompt lacks one
    assert sorted(path.name for path in out.iterdir()) == ["first.png"]
    assert write_layout(suite.layout, samples, samples, out) == 8
    with Image.open(out / "second7.png") as picture:
        assert [picture.getpixel(place) for place in ((0, 0), (15, 0), (0, 15), (15, 15))] == list(CELLS.values())
    plan = [Sample(id=f"g/{n}", prompt="p", meta=dict(grids.facts("all", n))) for n in range(2)]
    assert grids.layout.match(out, plan).paths == {"g/0": out / "first.png", "g/1": out / "second7.png"}
    with pytest.raises(UsageError, match="grids hold 4 pictures"):
        suite.layout.paths([*samples, Sample(id="x", prompt="p", meta=dict(suite.facts("all", 1)))])


def test_a_run_over_official_grids_writes_its_summary(tmp_path: Path):
    write_data(tmp_path)
    run = tmp_path / "run"
    run_benchmark(
        suite="dpg-bench,pictures=grid", data=tmp_path, images=write_grids(tmp_path / "grids"),
        yes_no="tests.plugins.fake_eyes", semantics="corrected", out=run,
    )  # fmt: skip
    text = (run / "summary.json").read_text()
    assert "dpg[fake-eyes, one question a call, exact, transitive dependency, mean, grid 2x2, corrected]" in text
    assert '"dpg": 1.0' in text


def detail(answers: dict[str, str], crops: Sequence[int] = (0, 8)) -> str:
    return "".join(
        f"out/a, b/second7.png, ({left}, 0, {left + 8}, 8), {question}, {answer}\n"
        for left in crops
        for question, answer in answers.items()
    )


def test_answers_of_the_official_script_are_added_up_again(tmp_path: Path):
    """Commas in the path and in a question; the script's answers to all questions of an item, twice."""
    suite = DpgSuite(Settings(data=write_data(tmp_path)))
    path = tmp_path / "res_detail.txt"
    path.write_text(detail({"Is the bench, if any, blue?": "yes", "Is there a bench?": "no", "Is it in front?": "yes"}))
    items = {item.id: item for item in read_items(tmp_path / "dpg_bench.csv")}
    (file,) = read_detail(path, items, "reference").files
    assert [len(picture) for picture in file.pictures] == [3, 3]
    assert file.score == 0  # blue is denied by the bench, and in front by blue
    summary = suite.sum_up_results(path, None)
    assert summary.content["reference"]["categories"]["relation"]["value"] == 1
    assert summary.content["corrected"]["categories"]["relation"]["value"] == 0
    assert summary.gaps == ("1 of 2 prompts have no file, such as first",)


def test_scores_of_the_official_script_are_read(tmp_path: Path):
    path = tmp_path / "res.txt"
    path.write_text("a, b/x.png, 0.5, 1.0, 0.75\nc/y.png, 0.25, 0.25\nModel: m\nDPG-Bench score: 50.0\n")
    summary = DpgSuite(Settings()).sum_up_results(path, None)
    assert (summary.content["dpg"], summary.content["files"]) == (0.5, 2)
    path.write_text("x.png, 0.5, 1.0, 0.8\n")
    with pytest.raises(DataError, match="not that of its crops"):
        DpgSuite(Settings()).sum_up_results(path, None)
    path.write_text("nothing of the kind\n")
    with pytest.raises(DataError, match="expected a file that DPG-Bench's script wrote"):
        DpgSuite(Settings()).sum_up_results(path, None)


def test_a_fact_of_another_benchmark_is_no_item():
    outcome = Builder().judge({"use": "dpg", "yes_no": "tests.plugins.fake_eyes"}).judge(
        [Sample(id="s", prompt="", image=Image.new("RGB", (8, 8)), meta={FACT: {"item": 1}})]
    )[0]  # fmt: skip
    assert isinstance(outcome, Unscored)
    assert "expected an item of DPG-Bench" in outcome.detail
