"""OneIG-Bench: files, layout, judges, totals and tables, on made-up prompts worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.oneig import OneIgSuite, Settings
from benchmarks.oneig.prompts import questions_of
from benchmarks.oneig.texts import PromptTexts, compare, sum_up, text_score
from benchmarks.rendered_text import edit_distance
from gotr1_eval import run_benchmark
from gotr1_eval.build import Builder
from gotr1_eval.core.checklist import ChecklistError
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.layouts import write_layout
from tests.fakes import ScriptedVlm

SCRIPT = """
class Inferencer:
    def __init__(self):
        self.TEXT_PROMPT = "Read."
    def infer_semantic(self, images_path, question):
        return [{"type": "text", "text": f"{question}! Say Yes or No"}]
"""
QUESTIONS = {"1": "A cat?", "2": "A red cat?", "3": "A tail?"}
DEPENDENCY = {"1": [2], "2": [3], "3": [0]}


def write_data(folder: Path) -> Path:
    """Two anime prompts, and one of every other class."""
    titles = {"Anime_Stylization": 2, "Portrait": 1, "General_Object": 1, "Text_Rendering": 1}
    lines = [f'{title},{n:03d},"p, {title} {n}"' for title, count in titles.items() for n in range(count)]
    (folder / "OneIG-Bench.csv").write_text("\n".join(["category,id,prompt_en", *lines, "Knowledge_Reasoning,000,r"]))
    row = {"question": json.dumps(QUESTIONS), "dependency": json.dumps(DEPENDENCY)}
    for name in ("anime", "human", "object"):
        (folder / f"{name}.json").write_text(json.dumps({"000": row, "001": row}))
    (folder / "text_content.csv").write_text("id,text_content\n000,\"['OPEN daily', '9 to 5']\"\n")
    (folder / "inference.py").write_text(SCRIPT)
    return folder


def judge(monkeypatch: pytest.MonkeyPatch, answer: object, folder: Path, use: str, **settings: object):
    builder, vlm = Builder(), ScriptedVlm(answer)
    monkeypatch.setattr(builder, "vlm", lambda spec: vlm)
    model = {"vlm": {"use": "x"}} if use == "oneig_alignment" else {"ocr": {"use": "vlm", "vlm": {"use": "x"}}}
    return builder.judge({"use": use, "data": str(folder), **model, **settings}), vlm


def one(folder: Path, category: str, picture: Image.Image | None = None) -> Sample:
    facts = dict(OneIgSuite(Settings(data=folder)).facts(category, 0))
    return Sample(id=f"oneig/{category}/00000/0", prompt="p", image=picture, meta={**facts, "category": category})


def test_prompts_and_what_is_known_of_them(tmp_path: Path):
    suite = OneIgSuite(Settings(data=write_data(tmp_path)))
    assert suite.categories == ("anime", "human", "object", "text")
    assert suite.prompts("anime") == ["p, Anime_Stylization 0", "p, Anime_Stylization 1"]
    assert suite.facts("text", 0)["oneig_text"]["gold"] == "['OPEN daily', '9 to 5']"
    assert [metric.categories for metric in suite.official] == [("anime", "human", "object"), ("text",)]
    assert OneIgSuite(Settings(language="zh")).categories[3] == "zh_multilingualism"


def test_by_hand_alignment_and_what_its_faults_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No tail: red needs it, and the cat needs red. The script denies red alone, since red itself was answered Yes."""
    answers = {"A cat?": "Yes", "A red cat?": "Yes", "A tail?": "No"}
    write_data(tmp_path)
    picture = Image.new("RGB", (8, 8), "red")
    ask = lambda request: answers[request.prompt.partition("!")[0]]  # noqa: E731
    reference, vlm = judge(monkeypatch, ask, tmp_path, "oneig_alignment")
    assert reference.judge([one(tmp_path, "anime", picture)])[0].value == pytest.approx(1 / 3)
    assert (vlm.requests[0].prompt, vlm.requests[0].max_tokens) == ("A cat?! Say Yes or No", 128)
    assert reference.name == (
        "oneig_alignment[scripted, one question a call, exact, direct dependency, mean, grid 1x1, "
        "black cells left out, JPEG 75, reference]"
    )
    corrected, _ = judge(monkeypatch, ask, tmp_path, "oneig_alignment", semantics="corrected")
    assert corrected.judge([one(tmp_path, "anime", picture)])[0].value == 0
    answers |= {"A tail?": "Yes.", "A red cat?": "yes"}
    assert reference.judge([one(tmp_path, "anime", picture)])[0].value == pytest.approx(0)
    assert corrected.judge([one(tmp_path, "anime", picture)])[0].value == 1


def test_black_cells_cost_nothing_by_reference_and_are_judged_by_corrected(tmp_path: Path, monkeypatch):
    """Of four cells one is red and answered with Yes, one is another black one, two are refusals."""
    write_data(tmp_path)
    grid = Image.new("RGB", (32, 32))
    grid.paste("red", (0, 0, 16, 16))
    grid.paste((40, 40, 40), (16, 0, 32, 16))

    def ask(request):
        return "Yes" if request.images[0].getpixel((5, 5))[0] > 150 else "No"

    values = {}
    for semantics in ("reference", "corrected"):
        scorer, vlm = judge(monkeypatch, ask, tmp_path, "oneig_alignment", grid="2x2", semantics=semantics)
        values[semantics] = scorer.judge([one(tmp_path, "anime", grid)])[0].value, len(vlm.requests)
        assert scorer.calls(one(tmp_path, "anime")).calls == 12
    assert values == {"reference": (1 / 2, 6), "corrected": (1 / 4, 12)}
    (black,) = scorer.judge([one(tmp_path, "anime", Image.new("RGB", (32, 32)))])
    assert black.value == 0
    reference, _ = judge(monkeypatch, ask, tmp_path, "oneig_alignment", grid="2x2")
    (black,) = reference.judge([one(tmp_path, "anime", Image.new("RGB", (32, 32)))])
    assert isinstance(black, Unscored)
    assert black.why is Why.UNDEFINED


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        ({"class": "anime", "questions": {"1": "a?", "3": "b?"}, "dependency": {}}, "not 1 to their number"),
        ({"class": "anime", "questions": {}, "dependency": {}}, "no question"),
        ({"class": "anime", "questions": {"1": "a?"}, "dependency": {"1": ["x"]}}, "another fact"),
        ("text", "another fact"),
    ],
)
def test_what_are_no_questions_is_told(fact: object, told: str):
    with pytest.raises(ChecklistError, match=told):
        questions_of(fact, "reference")


def test_by_hand_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Wanted: OPEN daily 9 to 5. Read: OPEN dialy 9 to 5, two letters off, and four words of five."""
    scorer, vlm = judge(monkeypatch, lambda request: "OPEN dialy,\n9 to 5", write_data(tmp_path), "oneig_text")
    (outcome,) = scorer.judge([one(tmp_path, "text", Image.new("RGB", (8, 8), "red"))])
    assert isinstance(outcome, Score)
    assert outcome.parts == {"edit distance": 2, "exact": 0, "matched": 4, "wanted": 5, "pictures": 1}
    assert outcome.value == pytest.approx(1 - 2 * (1 - 4 / 5) / 100)
    assert (vlm.requests[0].prompt, vlm.requests[0].max_tokens) == ("Read.", 128)
    long = {**one(tmp_path, "text").meta["oneig_text"], "gold": "w " * 61}
    scorer.judge([Sample(id="l", prompt="", image=Image.new("RGB", (8, 8), "red"), meta={"oneig_text": long})])
    assert vlm.requests[1].max_tokens == 256


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("abc", "abc", 0),
        ("招牌", "招x牌", 1),
    ],
)
def test_by_hand_edit_distance(one: str, other: str, distance: int):
    assert edit_distance(one, other) == edit_distance(other, one) == distance


def test_by_hand_what_the_text_scripts_faults_change():
    """One Chinese sign in what was read joins its words; escapes in the cell of wanted texts count as letters."""
    assert compare("['OPEN daily']", "OPEN daily 红", "reference").match.matched == 0
    assert compare("['OPEN daily']", "OPEN daily 红", "corrected").match.matched == 2
    assert compare(r"['a\nb']", "a b", "reference").distance == 1  # "anb"
    assert compare(r"['a\nb']", "a b", "corrected").exact
    assert compare("['Åse']", "Åse addCriterion", "corrected").distance == 0


def test_by_hand_totals_and_a_prompt_of_black_pictures_only():
    prompts = {
        "000": PromptTexts("one two", ["one two", "one"]),
        "001": PromptTexts("one", []),
        "002": PromptTexts("three", None),
    }
    reference, corrected = sum_up(prompts, "en", "reference"), sum_up(prompts, "en", "corrected")
    # The second is given what was read for the first: distances 0, 4, then 4, 0.
    assert (reference.distance, reference.exact, reference.accuracy) == (2.0, 0.5, 5 / 6)
    assert reference.score == pytest.approx(1 - 2 * 0.5 * (1 / 6) / 100)
    assert (corrected.distance, corrected.exact, corrected.accuracy) == (2.0, 0.5, 3 / 4)
    assert (reference.prompts["002"], corrected.prompts["001"]) == (None, None)
    assert text_score(1000, 0, 0, "zh") == 0
    assert sum_up({"a": PromptTexts("x", None)}, "en", "corrected") is None


def test_files_are_found_as_the_script_finds_them(tmp_path: Path):
    suite = OneIgSuite(Settings(data=write_data(tmp_path), grid="2x2"))
    plan = [Sample(id=f"a/{n}", prompt="p", meta=dict(suite.facts("anime", n))) for n in range(2)]
    place = tmp_path / "pictures" / "anime" / "my-model"
    place.mkdir(parents=True)
    for name in ("000.webp", "001.png", "001b.png"):
        Image.new("RGB", (4, 4)).save(place / name)
    found = suite.layout.match(tmp_path / "pictures", plan)
    assert found.paths == {"a/0": place / "000.webp"}
    assert "1 prompts have several files" in found.remarks[0]
    (tmp_path / "pictures" / "anime" / "other").mkdir()
    with pytest.raises(UsageError, match="folders of 2 models"):
        suite.layout.match(tmp_path / "pictures", plan)
    named = OneIgSuite(Settings(data=tmp_path, grid="2x2", model="my-model"))
    assert named.layout.match(tmp_path / "pictures", plan).paths == found.paths
    with pytest.raises(UsageError, match="no picture there"):
        OneIgSuite(Settings(data=tmp_path, grid="2x2", model="none")).layout.match(tmp_path / "pictures", plan)
    with pytest.raises(UsageError, match="such as 2x2, got '2,2'"):
        OneIgSuite(Settings(grid="2,2"))


def test_single_pictures_are_written_as_grids(tmp_path: Path):
    suite = OneIgSuite(Settings(data=write_data(tmp_path), model="m"))
    samples = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (4, 4), (number * 60, 0, 0)).save(path)
        meta = {**suite.facts("anime", 1), "image_index": number}
        samples.append(Sample(id=f"oneig/anime/00001/{number}", prompt="p", image=path, meta=meta))
    assert write_layout(suite.layout, samples, samples, tmp_path / "out") == 4
    with Image.open(tmp_path / "out" / "anime" / "m" / "001.png") as grid:
        assert (grid.size, grid.getpixel((4, 4))) == ((8, 8), (180, 0, 0))


def test_a_run_keeps_alignment_and_text_apart(tmp_path: Path):
    data, pictures = write_data(tmp_path), tmp_path / "pictures"
    for name, key in (("anime", "000"), ("anime", "001"), ("human", "000"), ("object", "000"), ("text", "000")):
        (pictures / name / "m").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), "red").save(pictures / name / "m" / f"{key}.png")
    run = tmp_path / "run"
    model = tmp_path / "model.toml"
    model.write_text('use = "tests.plugins.scripted_vlm"\nreply = "Yes"\n')
    run_benchmark(
        suite="oneig,grid=2x2",
        data=data,
        images=pictures,
        judge_model=str(model),
        ocr="tests.plugins.fake_ocr",
        out=run,
    )
    summary = json.loads((run / "summary.json").read_text())
    aligned, text = summary["official_alignment"], summary["official_text"]
    assert (aligned["alignment"], aligned["prompts"], aligned["questions"]) == (1.0, 4, 48)
    assert {name: one["prompts"] for name, one in aligned["classes"].items()} == {"anime": 2, "human": 1, "object": 1}
    assert (text["pictures"], text["prompts"], text["completion_rate"]) == (4, 1, 0.0)
    assert text["judge"].startswith("oneig_text[fake, grid 2x2, black cells left out, JPEG 75, mean over pictures")


def test_tables_of_the_official_scripts_are_added_up(tmp_path: Path):
    path = tmp_path / "alignment_prompt_score_EN.csv"
    path.write_text(",m1,m2\nanime_000,0.5,\nanime_001,1.0,0.25\nhuman_000,0.0,0.75\n")
    found = OneIgSuite(Settings()).sum_up_results(path, None)
    assert found.content["m1"]["alignment"]["mean"] == 0.5
    assert found.content["m2"]["classes"]["anime"] == {
        "alignment": {"mean": 0.25, "interval": [None, None]},
        "prompts": 1,
    }
    assert found.gaps == ("m2: 1 of 3 prompts have no score",)
    path.write_text(',m1\n000,"[2.0, 0.5, 0.75]"\n001,"[4.0, 0.0, 0.25]"\n')
    found = OneIgSuite(Settings()).sum_up_results(path, None)
    assert [found.content["m1"][name]["mean"] for name in ("edit_distance", "word_accuracy")] == [3.0, 0.5]
    for content in (",ED,CR\nm1,1,2\n", "a,b\n1,2\n", ",m1\n000,high\n", ""):
        path.write_text(content)
        with pytest.raises(DataError):
            OneIgSuite(Settings()).sum_up_results(path, None)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("anime.json", "[]", "expected questions and dependencies"),
        ("anime.json", '{"001": {"question": "{}", "dependency": "{}"}}', "no questions or text for this prompt"),
        ("text_content.csv", "a,b\n", "expected the columns"),
        ("OneIG-Bench.csv", "category,id,prompt_en\nPortrait,000,x\n", "no prompt of the class"),
        ("inference.py", "x = 1\n", "infer_semantic"),
    ],
)
def test_another_file_is_told_in_one_line(tmp_path: Path, monkeypatch, name: str, content: str, told: str):
    write_data(tmp_path)
    (tmp_path / name).write_text(content)

    def read() -> None:
        if name == "inference.py":
            judge(monkeypatch, lambda request: "Yes", tmp_path, "oneig_alignment")
        OneIgSuite(Settings(data=tmp_path)).prompts("anime")

    with pytest.raises(DataError, match=told):
        read()
