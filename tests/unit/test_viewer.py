"""The viewer's runs, samples, search and pages, against what the run folders hold."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.runs.judgments import sample_row
from gotr1_eval.runs.store import RunStore, read_info
from gotr1_eval.web.view import SIDE_BY_SIDE, Viewer, create_app
from reports.run_data import load_run
from reports.run_summary import summarise_run
from reports.score_export import write_scores
from reports.viewer.copying import write_copy
from reports.viewer.run_samples import RunSamples, Wanted
from reports.viewer.runs_folder import RunsFolder
from reports.viewer.search import SearchIndex
from tests.report_runs import varied_run
from tests.unit.test_page import write_hostile_run
from tests.unit.test_training_page import write_training


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, of which the second has no table of scores, and a training."""
    root = tmp_path_factory.mktemp("viewed") / "runs"
    varied_run(root / "a")
    write_scores(load_run(root / "a"))
    varied_run(root / "deep" / "b", prompts=10)
    write_training(root / "grpo")
    return root


@pytest.fixture
def client(root: Path, tmp_path: Path) -> TestClient:
    runs = RunsFolder(root)
    viewer = Viewer(runs, SearchIndex(runs, tmp_path / "index"))
    viewer.index.update()
    return TestClient(create_app(viewer), base_url="http://127.0.0.1")


def test_the_list_is_what_the_folders_hold(root: Path):
    rows = {row.name: row for row in RunsFolder(root).rows()}
    assert {name: row.kind for name, row in rows.items() if "evaluations" not in name} == {
        "a": "run", "deep/b": "run", "grpo": "training",
    }  # fmt: skip
    assert (rows["a"].done, rows["a"].expected, rows["a"].generator, rows["a"].suite) == (80, 80, "painter", "pictures")
    whole = summarise_run(load_run(root / "a")).rows["all"]
    assert rows["a"].means == pytest.approx({
        "semantic": whole["judge[semantic]"].mean, "reasoning_image": whole["judge[reasoning_image]"].mean,
        "total": whole["judge[total]"].mean,
    })  # fmt: skip
    assert rows["deep/b"].means == {}
    assert {row.name for row in RunsFolder(root).rows(at_once=True) if row.means} == set()


def test_a_run_that_grows_is_followed(root: Path, tmp_path: Path):
    """Only whole lines count, and a file that is written anew is counted anew."""
    folder = varied_run(tmp_path / "runs" / "a", prompts=4)
    runs = RunsFolder(tmp_path / "runs")
    index = SearchIndex(runs, tmp_path / "index")
    index.update()
    with RunStore.open(folder, read_info(folder)):
        (row,) = [row for row in runs.rows() if row.name == "a"]
        assert (row.done, row.live) == (8, True)
    (row,) = [row for row in runs.rows() if row.name == "a"]
    assert not row.live, "nobody writes to it"
    line = json.dumps(sample_row(next(iter(load_run(folder).samples.values())), folder))
    fresh = line.replace('"prompt": "', '"prompt": "zebra ').replace('"id": "', '"id": "new/')
    with (folder / "samples.jsonl").open("a") as file:
        file.write(fresh[:40])
    assert [row.done for row in runs.rows() if row.name == "a"] == [8]
    index.update()
    assert index.search("zebra") == ([], False)
    with (folder / "samples.jsonl").open("a") as file:
        file.write(fresh[40:] + "\n")
    assert [row.done for row in runs.rows() if row.name == "a"] == [9]
    index.update()
    (hit,), more = index.search("ZEBRA")
    assert (hit.run, hit.sample[:4], more) == ("a", "new/", False)
    (folder / "samples.jsonl").write_text(line + "\n")
    index.update()
    assert index.search("zebra") == ([], False)
    assert [row.done for row in runs.rows() if row.name == "a"] == [1]
    folder.rename(tmp_path / "gone")
    index.update()
    assert index.search("red cat") == ([], False)


def test_samples_are_filtered_and_ordered_as_their_scores(root: Path):
    """The same from the table of scores and from the judgments themselves."""
    whole = load_run(root / "a")
    run = RunSamples(root / "a")
    assert run.ids == list(whole.samples)
    for judge in ("judge[total]", "judge[semantic]"):
        values = [
            outcome.value if isinstance(outcome := whole.outcomes[judge].get(name), Score) else np.nan
            for name in run.ids
        ]
        np.testing.assert_allclose(run.scores[judge], values)
    (root / "a" / "scores.parquet").rename(root / "aside")
    try:
        again = RunSamples(root / "a")
    finally:
        (root / "aside").rename(root / "a" / "scores.parquet")
    for judge, values in run.scores.items():
        np.testing.assert_array_equal(again.scores[judge], values)
    places = run.matching(Wanted(category="spatial", judge="total", order="highest"))
    found = [run.score(place, "judge[total]") for place in places]
    known = [value for value in found if value is not None]
    assert known == sorted(known, reverse=True)
    assert found == [*known, *[None] * (len(found) - len(known))]
    assert len(places) == sum(whole.category(sample) == "spatial" for sample in whole.samples.values())
    texts = [f"{sample.prompt} {sample.chain}".lower() for sample in whole.samples.values()]
    both = [place for place, text in enumerate(texts) if "dog" in text and "15" in text]
    assert run.matching(Wanted(words="15 DOG")) == both
    assert 2 <= len(both) < 80
    assert len(run.matching(Wanted(judge="semantic", order="unscored"))) == int(
        np.isnan(run.scores["judge[semantic]"]).sum()
    )


def test_one_sample_has_all_that_was_said_of_it(root: Path):
    whole, run = load_run(root / "a"), RunSamples(root / "a")
    for place in (0, 6, 79):
        name = run.ids[place]
        one = run.run_of([place])
        assert one.samples == {name: whole.samples[name]}
        assert {judge: found.get(name) for judge, found in one.outcomes.items()} == {
            judge: found.get(name) for judge, found in whole.outcomes.items()
        }


PAGES = {
    "/": "<h1>Runs</h1>",
    "/samples?run=a": "80 of 80 samples match",
    "/samples?run=a&run=deep/b&order=lowest&judge=total&q=dog": "stand side by side",
    "/samples?run=a&page=999": "page 7 of 7",
    "/board?run=a&run=deep/b": "<h1>Leaderboard</h1>",
    "/page?run=a": "data-row=",
    "/page?run=grpo": "<h1>grpo</h1>",
    "/search?q=dog+15": "a red cat and dog 15",
    "/search?q=": "0 samples",
    "/search?q=%22%29%20OR%20*": "samples hold",
}


@pytest.mark.parametrize("path", PAGES)
def test_every_view_has_an_address(path: str, client: TestClient):
    reply = client.get(path)
    assert reply.status_code == 200
    assert PAGES[path] in reply.text
    assert "default-src &#39;none&#39;" in reply.text


def test_a_sample_is_found_by_links_alone(client: TestClient):
    """From the list to the samples, to one of them and to its picture."""
    listed = client.get("/").text
    samples = next(link for link in re.findall(r'href="(/samples[^"]+)"', listed) if "run=a" in link)
    page = client.get(samples).text
    sample = re.findall(r'href="(/sample\?[^"]+)"', page)[0].replace("&amp;", "&")
    shown = client.get(sample).text
    assert "judge[semantic]" in shown
    assert "a note" in shown
    picture = re.findall(r'src="(/picture[^"]+)"', shown)[0].replace("&amp;", "&")
    assert client.get(picture).content[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/samples?run=nobody", 404), ("/samples?run=../a", 404), ("/samples?run=/etc", 404), ("/samples", 422),
     ("/sample?run=a&id=nobody", 404), ("/picture?run=a&id=nobody", 404), ("/steps?run=a", 404),
     ("/page?run=deep", 404), ("/samples?" + "&".join(f"run=r{place}" for place in range(SIDE_BY_SIDE + 1)), 422),
     ("/board?run=a&run=./a", 422)],
)  # fmt: skip
def test_what_is_not_there_is_said(path: str, status: int, client: TestClient):
    reply = client.get(path)
    assert reply.status_code == status
    assert "Traceback" not in reply.text
    assert '<a href="/">Runs</a>' in reply.text, "a page, with the way back"


def test_strangers_are_turned_away(root: Path, tmp_path: Path, client: TestClient):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/", headers={"Origin": "http://evil.example"}).status_code == 403
    runs = RunsFolder(root)
    app = create_app(Viewer(runs, SearchIndex(runs, tmp_path / "other")), token="secret")
    other = TestClient(app, base_url="http://elsewhere", follow_redirects=True)
    assert other.get("/").status_code == 401
    assert other.get("/?token=wrong").status_code == 401
    assert "<h1>Runs</h1>" in other.get("/?token=secret").text
    assert other.get("/samples?run=a").status_code == 200


def test_hostile_text_stays_text(tmp_path: Path):
    root = tmp_path / "runs"
    root.mkdir()
    write_hostile_run(root / "hostile")
    runs = RunsFolder(root)
    viewer = Viewer(runs, SearchIndex(runs, tmp_path / "index"))
    viewer.index.update()
    client = TestClient(create_app(viewer), base_url="http://127.0.0.1")
    names = RunSamples(root / "hostile").ids
    pages = [client.get("/").text, client.get("/samples?run=hostile").text, client.get("/search?q=script").text]
    pages += [client.get("/sample", params={"run": "hostile", "id": name}).text for name in names]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_runs_are_never_written(root: Path, client: TestClient):
    def state() -> dict[str, float]:
        return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}

    before = state()
    for path in PAGES:
        client.get(path)
    assert state() == before


def test_a_copy_needs_no_server(root: Path, tmp_path: Path):
    assert write_copy(RunsFolder(root), tmp_path / "site") >= 3
    index = (tmp_path / "site" / "index.html").read_text()
    links = re.findall(r'href="([^"#][^"]*)"', index)
    assert all((tmp_path / "site" / link).exists() for link in links)
    assert len(links) == len(list((tmp_path / "site").glob("*.html"))) - 1
    assert "connect-src" not in index
    assert write_copy(RunsFolder(root), tmp_path / "site") == len(links)
    shutil.rmtree(root / "a")
    assert write_copy(RunsFolder(root), tmp_path / "site") < len(links)
    assert len(list((tmp_path / "site").glob("*a*.html"))) < len(links), "the page of a run that is gone is gone"
    for own in ("thesis.tex", "notes.html"):
        (tmp_path / "site" / own).write_text("mine")
        with pytest.raises(UsageError, match=f"the folder holds {own}, which is no page of a copy"):
            write_copy(RunsFolder(root), tmp_path / "site")
        (tmp_path / "site" / own).unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("mine")
    with pytest.raises(UsageError, match=r"holds index\.html"):
        write_copy(RunsFolder(root), tmp_path / "other")
    assert (tmp_path / "other" / "index.html").read_text() == "mine"


def test_a_damaged_run_is_a_line_of_its_own(tmp_path: Path):
    root = tmp_path / "runs"
    varied_run(root / "good", prompts=2)
    (root / "bad").mkdir()
    (root / "bad" / "run.json").write_text("{")
    rows = {row.name: row for row in RunsFolder(root).rows()}
    assert "not a run description" in rows["bad"].fault
    assert rows["good"].done == 4
    with pytest.raises(DataError):
        RunSamples(root / "bad")
