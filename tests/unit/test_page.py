"""The report page as a text: complete, self-contained, and safe with any text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.types import Box, Detection, Sample
from reports.published.peers import peers_of
from reports.run_data import RunData, load_run
from reports.run_page.gallery import embedded, gallery_rows
from reports.run_page.opening import Opening, mean_and_half, opening
from reports.run_page.page import render_page, write_page
from reports.run_page.sample_ranks import rank_samples
from reports.run_page.score_table import PublishedScore, judge_rows, overview, published_scores
from reports.run_summary import summarise_run
from tests.report_runs import varied_run, write_run

HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=1">"\'&amp;{{ 7*7 }}--><!--]]>'


def page_of(folder: Path) -> str:
    run = load_run(folder)
    return render_page(run, summarise_run(run))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return varied_run(tmp_path_factory.mktemp("runs") / "run")


def write_hostile_run(folder: Path) -> Path:
    """Prompt, chain, category, judge, parts, note, reply, model, label, file name, reason: all hostile."""
    pictures = folder.parent / "pictures"
    pictures.mkdir()
    name = f"{HOSTILE.replace('/', '')}.png"
    Image.new("RGB", (8, 8), "red").save(pictures / name)
    chain = write_chain([(HOSTILE, Box(0, 0, 0.5, 0.5))]) + HOSTILE
    samples = [
        Sample(id=f"x/y/{HOSTILE}/{index}", prompt=HOSTILE, chain=chain, image=pictures / picture,
               generator=HOSTILE, meta={"category": HOSTILE})
        for index, picture in enumerate([name, f"missing {name}"])
    ]  # fmt: skip

    def answer(sample: Sample) -> Outcome:
        reply = (Reply(text=HOSTILE, model=HOSTILE, finish=HOSTILE),)
        if sample.id.endswith("/0"):
            seen = (Detection(HOSTILE, Box(0, 0, 1, 1)),)
            return Score(value=0.5, parts={HOSTILE: 1.0}, note=HOSTILE, replies=reply, seen=seen)
        return Unscored(why=Why.UNREADABLE, detail=HOSTILE, replies=reply)

    return write_run(folder, samples, {HOSTILE: answer, "b": answer}, suite=HOSTILE)


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile_run(tmp_path_factory.mktemp("hostile") / "run")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    return parser.tags


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="run-data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_shows_table_plots_and_samples(run_folder: Path):
    page = page_of(run_folder)
    assert "judge[semantic]" in page
    assert ">n=72, <" in page
    assert "unscored 8" in page
    assert page.count('class="plot"') == 1 + 12 + 3 + 1 + 3  # first chart, bars, histograms, correlations, lengths
    data = data_of(page)
    assert len(data["rows"]["id"]) == len(data["details"]) == 80
    assert all(detail["picture"].startswith("data:image/png") for detail in data["details"].values())


def test_the_overview_is_there_where_judges_apply(run_folder: Path):
    table = summarise_run(load_run(run_folder))
    groups = judge_rows(table, {})
    found = overview(groups)
    assert list(found) == ["color", "spatial", "numeracy", "all"]
    assert found["color"] == [
        table.rows["color"][f"judge[{name}]"] for name in ("total", "semantic", "reasoning_image")
    ]
    assert overview(groups[:1]) == {}
    scarce = [replace(group, rows=(group.rows[place],)) for place, group in enumerate(groups)]
    assert overview(scarce) == {}


def opening_of(run: RunData) -> Opening:
    table = summarise_run(run)
    ranked, places = rank_samples(run), range(len(run.samples))
    details = embedded(run, places)
    rows = gallery_rows(run, ranked, places, [""] * len(places))["rows"]
    return opening(run, table, judge_rows(table, {}), peers_of(run, table), ranked, rows, details)


def test_the_first_screen_says_what_the_run_came_to(run_folder: Path):
    """Its mean and extremes are those of the table; pictures are in the order of the totals."""
    run = load_run(run_folder)
    first, row = opening_of(run), summarise_run(run).rows
    means = {name: cells["judge[total]"].mean or 0.0 for name, cells in row.items()}
    single = sorted((value, name) for name, value in means.items() if name != "all")
    assert first.sentences[0] == (
        f"painter on pictures: 80 samples, total {mean_and_half(row['all']['judge[total]'])} (n=72), "
        f"best in {single[-1][1]} ({single[-1][0]:.3f}), worst in {single[0][1]} ({single[0][0]:.3f})."
    )
    assert first.sentences[-1] == "Incomplete: 8 cells of the table have under 95% of its scores."
    assert [name for name, _ in first.strips] == ["Best", "Worst"]
    scores = {name: [float(each.score) for each in glances] for name, glances in first.strips}
    totals = sorted(one.value for one in run.outcomes["judge[total]"].values() if isinstance(one, Score))
    assert scores["Best"] == pytest.approx(totals[:-7:-1], abs=5e-4)
    assert scores["Worst"] == pytest.approx(totals[:6], abs=5e-4)
    assert first.chart is not None
    assert first.chart.drawing.count("<rect") == 4


def test_the_first_screen_of_a_run_without_a_score(tmp_path: Path):
    samples = [Sample(id=f"s/c/{place}/0", prompt="a cat", meta={"category": "c"}) for place in range(3)]
    nothing = Unscored(why=Why.BACKEND, detail="the server is gone")
    first = opening_of(load_run(write_run(tmp_path / "run", samples, {"spatial": lambda sample: nothing})))
    assert first.sentences == (
        "painter on pictures: 3 samples.",
        "Incomplete: one cell of the table has under 95% of its scores.",
    )
    assert first.strips == ()
    assert first.chart is None


def test_two_samples_are_one_best_and_one_worst(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    samples = [
        Sample(id=f"s/c/{place}/0", prompt=f"a cat {place}", image=tmp_path / "x.png", meta={"category": "c"})
        for place in range(2)
    ]
    run = write_run(tmp_path / "run", samples, {"total": lambda sample: Score(value=float(sample.prompt[-1]))})
    first = opening_of(load_run(run))
    shown = {name: [glance.prompt for glance in glances] for name, glances in first.strips}
    assert shown == {"Best": ["a cat 1"], "Worst": ["a cat 0"]}


def test_details_hold_what_a_sample_is_judged_by(run_folder: Path):
    data = data_of(page_of(run_folder))
    detail = data["details"]["0"]
    assert [piece[1] for piece in detail["chain"]] == [None, 0, None, 1, None]
    assert detail["chain"][1][2] == "missing number"
    assert detail["found"]["1"][0] == ["red cat", 10, 10, 40, 50, 0]
    assert detail["found"]["1"][1][5] is None  # nothing of that name was planned
    assert detail["verdicts"][0]["note"] == "a note"
    assert detail["verdicts"][0]["replies"][0][2].endswith("because of a red cat and dog 0")
    assert data["rows"]["defects"][0] == [data["defects"].index("missing number")]
    assert data["outcomes"][data["rows"]["outcomes"][0][6]] == "unscored: unreadable"
    assert data["rows"]["scores"][0][6] is None


def test_the_page_needs_nothing_from_outside(run_folder: Path):
    for tag, attributes in tags(page_of(run_folder)):
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert "style" not in attributes
        target = attributes.get("href")
        assert target is None or target.startswith("#")


def test_the_policy_names_the_one_style_and_the_one_script(run_folder: Path):
    page = page_of(run_folder)
    policy = next(facts["content"] for tag, facts in tags(page) if facts.get("http-equiv"))
    assert policy is not None
    for tag in ("style", "script"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "'self'" not in policy


def test_hostile_text_stays_text(hostile_run: Path):
    page = page_of(hostile_run)
    assert [facts for tag, facts in tags(page) if tag == "script"] == [
        {"type": "application/json", "id": "run-data"},
        {},
    ]
    assert not [attributes for _, attributes in tags(page) if "onerror" in attributes]
    data = data_of(page)
    assert data["details"]["0"]["prompt"] == HOSTILE
    assert data["details"]["0"]["verdicts"][0]["replies"][0][:3] == [HOSTILE] * 3


def test_holes_are_in_plain_sight(hostile_run: Path):
    page = page_of(hostile_run)
    assert "Incomplete: " in page
    assert "1 unreadable" in page
    assert "the file does not exist" in data_of(page)["details"]["1"]["fault"]


def test_more_samples_than_fit_are_chosen_and_said(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reports.run_page.page.EMBEDDED", 20)
    run = load_run(run_folder)
    page = write_page(run, summarise_run(run), tmp_path / "few.html").read_text("utf-8")
    data = data_of(page)
    assert len(data["details"]) == len(data["rows"]["id"]) == 20
    assert "20 of 80 samples: the worst, the best" in page
    assert set(data["rows"]["reason"]) == {"worst", "best", "disagreed on", "unscored", "random"}
    assert not (tmp_path / "few_files").exists()


def test_all_of_them_lie_beside_the_page(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reports.run_page.page.EMBEDDED", 20)
    run = load_run(run_folder)
    write_page(run, summarise_run(run), tmp_path / "all.html", everything=True)
    page = write_page(run, summarise_run(run), tmp_path / "all.html", everything=True).read_text("utf-8")
    data = data_of(page)
    assert len(data["rows"]["id"]) == 80
    assert data["beside"] == "all_files"
    policy = next(facts["content"] for tag, facts in tags(page) if facts.get("http-equiv"))
    assert policy is not None
    assert "img-src data: 'self'" in policy
    assert re.search(r"script-src 'sha256-\S+' 'strict-dynamic'$", policy)
    files = tmp_path / "all_files"
    chunks = [(files / f"{number}.js").read_text("utf-8") for number in range(3)]
    beside = [detail for chunk in chunks for detail in json.loads(re.sub(r"^\S+ |\);\n$", "", chunk))]
    assert len(beside) == 60
    assert {detail["prompt"] for detail in [*beside, *data["details"].values()]} == {
        sample.prompt for sample in run.samples.values()
    }
    assert all((tmp_path / detail["picture"]).is_file() for detail in beside)
    assert len(list(files.iterdir())) == 63


def test_a_page_without_its_room_holds_fewer(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reports.run_page.gallery.ROOM", 20_000)
    page = page_of(run_folder)
    held = len(data_of(page)["details"])
    assert 5 < held < 20
    assert f"{held} of 80 samples" in page


def test_published_scores_are_marks_on_the_bar_of_their_cell(run_folder: Path):
    table = summarise_run(load_run(run_folder))
    total, *others = judge_rows(table, {("judge[total]", "color"): [PublishedScore("A <b>model</b>", 0.95)]})
    assert total.judge.factor == "total"
    assert total.scale == (0.0, 1.0)
    marked = [row for row in total.rows if 'class="mark"' in row.bar]
    assert [row.category for row in marked] == ["color"]
    assert "<title>A &lt;b&gt;model&lt;/b&gt;: 0.95</title>" in marked[0].bar
    assert not [row for group in others for row in group.rows if 'class="mark"' in row.bar]


def official_run(folder: Path) -> Path:
    """T2I-CompBench's official judge of colours over its whole list, a picture a prompt."""
    name = "attribute[blip-vqa, spacy en_core_web_sm-3.5.0, reference]"
    samples = [
        Sample(id=f"t2i-compbench/{category}/{place:05d}/0", prompt=f"{category} {place}", meta={"category": category})
        for category in ("color", "spatial")
        for place in range(4)
    ]

    def judge(sample: Sample) -> Outcome:
        if sample.meta["category"] == "color":
            return Score(value=0.5)
        return Unscored(why=Why.NOT_APPLICABLE, detail="a metric of the category color")

    return write_run(folder, samples, {"attribute": judge}, suite="t2i-compbench", name=lambda factor: name)


def test_a_run_stands_beside_published_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = load_run(official_run(tmp_path / "run"))
    table = summarise_run(run)
    page = render_page(run, table)
    assert "Published: T2I-CompBench++" in page
    assert "Not comparable: color; its prompts are not recorded" in page
    assert "not applicable to spatial" in page
    assert "reference: as the official scripts compute" in page
    assert published_scores(run, peers_of(run, table)) == {}
    monkeypatch.setattr("reports.published.peers.list_fault", lambda run, benchmark, metric: "")
    beside = published_scores(run, peers_of(run, table))
    [models] = beside.values()
    assert list(beside) == [("attribute[blip-vqa, spacy en_core_web_sm-3.5.0, reference]", "color")]
    assert [model.label for model in models if model.source] == [models[0].label]
    assert any(
        "Beside the rows published under T2I-CompBench++: color 0.5" in line for line in opening_of(run).sentences
    )
    [group] = judge_rows(table, beside)
    assert [row.category for row in group.rows] == ["color"]
    assert group.rows[0].bar.count('class="mark"') == len(models)
    assert "GoT-R1-7B" in [model.label for model in models]


def test_a_missing_picture_looks_missing(tmp_path: Path):
    """On the first screen, in the gallery's data and among the warnings; nothing stands for it silently."""
    folder = varied_run(tmp_path / "run", prompts=4)
    run = load_run(folder)
    whole = render_page(run, summarise_run(run))
    assert 'class="missing"' not in whole
    assert "pictures are missing" not in whole
    gone = next(iter(run.samples.values())).image
    assert isinstance(gone, Path)
    gone.unlink()
    page = render_page(run, summarise_run(run))
    assert f"1 of 8 pictures are missing, such as {gone.name}." in page
    assert page.count('class="missing"') == 1
    assert f'<span class="missing">{gone.name}: the file does not exist</span>' in page
    assert f'"fault":"{gone.name}: the file does not exist"' in page
