"""The page of a comparison: what it shows, that it is self-contained, and that hostile text stays text."""

from __future__ import annotations

import csv
import html
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.sources import GivenPictures
from reports.comparison.page import render_page, write_page
from reports.comparison.paired import compare_runs
from reports.comparison.tables import comparison_document
from reports.documents import csv_text, markdown
from reports.run_data import load_run
from rewards.reward_set import RewardSet
from tests.browser import LAPTOP, PHONE, needs_browser, open_page, serious_faults, started_browser
from tests.fakes import ScriptedJudge
from tests.made_runs import made_run, scattered

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{ 7*7 }}&amp;"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        made_run(folder / name, {"one": scattered(middle, 0.1, salt), "two": scattered(0.5, 0.1, salt)}, prompts=8)
        for salt, (name, middle) in enumerate((("a", 0.4), ("b", 0.7), ("c", 0.41)))
    ]


@pytest.fixture(scope="module")
def hostile_runs(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hostile")
    Image.new("RGB", (8, 8), "red").save(folder / "x.png")

    def made(name: str, value: float):
        missing = f"{HOSTILE.replace('/', '')}.png"
        samples = [
            Sample(
                id=f"x/{HOSTILE.replace('/', '')}/{index}/0",
                prompt=HOSTILE,
                chain=HOSTILE,
                image=folder / image,
                meta={"category": HOSTILE},
            )
            for index, image in enumerate(["x.png", missing])
        ]

        def answer(sample: Sample) -> Outcome:
            return Score(value=value if "/0/" in sample.id else 1 - value, note=HOSTILE)

        rewards = RewardSet({HOSTILE: ScriptedJudge(answer, name=HOSTILE)})
        run_job(
            Job(
                folder=folder / name,
                samples=samples,
                pictures=GivenPictures(str(folder)),
                rewards=rewards,
                settings={"suite": HOSTILE},
            )
        )
        return load_run(folder / name)

    return [made("<b>a", 0.2), made("<b>b", 0.7)]


def page_of(runs) -> str:
    return render_page(runs, [compare_runs(runs[0], other) for other in runs[1:]], "compare a b")


def test_the_page_says_verdicts_and_shows_what_moved(runs):
    page = page_of(runs)
    assert "one: " not in page
    undone = "rare breaks that this list does not hold could undo it"
    found = r"color: better by 0\.\d+ \[\+0\.\d+, \+0\.\d+\] \(p 0\.\d+, 16 pairs of 8 prompts; " + undone
    assert re.search(found, page)
    assert "color: within noise" in page
    assert page.count("<h2>") == 2
    assert page.count('<details class="judge"') == 4
    comparison = compare_runs(runs[0], runs[1])
    for judge in comparison.judges:
        for moved in (*judge.risen, *judge.fallen):
            assert moved.prompt in page
    assert page.count("data:image/png;base64,") >= 2 * len(comparison.judges[0].risen)
    assert "judgments.jsonl sha256" in page


def test_pictures_are_those_of_the_sample_that_moved(runs):
    (moved, *_) = compare_runs(runs[0], runs[1]).judges[0].risen
    one, two = (run.outcomes["one"] for run in runs[:2])
    of_prompt = [sample for sample in one if sample.startswith(f"{moved.identity}/")]
    differences = {sample: two[sample].value - one[sample].value for sample in of_prompt}
    assert moved.sample == max(differences, key=lambda sample: differences[sample])
    assert moved.difference == pytest.approx(sum(differences.values()) / len(differences))
    assert (moved.a, moved.b) == (one[moved.sample].value, two[moved.sample].value)


def test_hostile_text_stays_text(hostile_runs):
    page = page_of(hostile_runs)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "{{ 7*7 }}" in page
    assert "script-src 'none'" in html.unescape(page)
    assert "the file does not exist" in page
    document = comparison_document(hostile_runs, [compare_runs(*hostile_runs)], HOSTILE)
    assert "<img" not in markdown(document)


def test_the_exported_table_has_the_verdicts(runs):
    comparisons = [compare_runs(runs[0], other) for other in runs[1:]]
    document = comparison_document(runs, comparisons, "compare a b c")
    rows = list(csv.DictReader(io.StringIO(csv_text(document))))
    assert [(row["b"], row["judge"], row["verdict"]) for row in rows if row["category"] == "color"] == [
        ("b", "one", "better"),
        ("b", "two", "within noise"),
        ("c", "one", "within noise"),
        ("c", "two", "within noise"),
    ]
    assert [row["category"] for row in rows[:3]] == ["all", "mean of tasks", "color"]
    assert float(rows[2]["mean"]) == comparisons[0].judges[0].rows["color"].mean
    assert "| color | **better** |" in markdown(document)


@pytest.mark.slow
@needs_browser
def test_a_browser_finds_no_fault(runs, hostile_runs, tmp_path: Path):
    looks = ((runs, LAPTOP, "light"), (hostile_runs, PHONE, "dark"))
    with started_browser() as browser:
        for chosen, size, colours in looks:
            path = tmp_path / f"{colours}.html"
            write_page(chosen, [compare_runs(chosen[0], other) for other in chosen[1:]], path, "compare")
            with open_page(browser, path.as_uri(), size, colours) as page:
                assert page.title() != "owned"
                folded = page.locator("details.judge").last
                if len(chosen) > 2:
                    assert not folded.locator("table").is_visible()
                    folded.locator("summary").first.focus()
                    page.keyboard.press("Enter")
                assert folded.locator("table").is_visible()
                assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
                assert serious_faults(page) == []
