"""The report page: complete, self-contained, and safe with any text."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.painters import AsTheyAre, GeneratorPainter
from benchmarks.plan import plan_samples
from benchmarks.run import run_benchmark
from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from reports.page import render_page, write_page
from reports.run_data import load_run
from reports.tables import summarise_run
from rewards.reward_set import RewardSet
from tests.fakes import OraclePainter, ScriptedJudge

HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=1">"\'&amp;{{ 7*7 }}'


def page_of(folder: Path) -> str:
    run = load_run(folder)
    return render_page(run, summarise_run(run))


@pytest.fixture
def shapes_run(tmp_path: Path) -> Path:
    plan = plan_samples(ShapesSuite(), ("color", "spatial"), images_per_prompt=1, limit=3, seed=0)
    rewards = Builder().reward_set("shapes")
    run_benchmark(tmp_path / "run", plan, GeneratorPainter(OraclePainter()), rewards, asked={"suite": "shapes"})
    return tmp_path / "run"


@pytest.fixture
def hostile_run(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "x.png")
    chain = write_chain([(HOSTILE, Box(0, 0, 0.5, 0.5))]) + HOSTILE
    samples = [
        Sample(id=f"x/{index}", prompt=HOSTILE, chain=chain, image=tmp_path / name, meta={"category": HOSTILE})
        for index, name in enumerate(["x.png", f"{HOSTILE.replace('/', '')}.png"])
    ]

    def answer(sample: Sample) -> Outcome:
        reply = (Reply(text=HOSTILE, model=HOSTILE),)
        if sample.id == "x/0":
            return Score(value=0.5, parts={HOSTILE: 1.0}, note=HOSTILE, replies=reply)
        return Unscored(why=Why.UNREADABLE, detail=HOSTILE, replies=reply)

    rewards = RewardSet({HOSTILE: ScriptedJudge(answer, name=HOSTILE)})
    run_benchmark(tmp_path / "run", samples, AsTheyAre(HOSTILE), rewards, asked={"suite": HOSTILE})
    return tmp_path / "run"


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


def test_the_page_shows_table_and_gallery(shapes_run: Path):
    page = page_of(shapes_run)
    assert "shapes_prompt_image" in page
    assert "n=6" in page
    assert page.count("<article>") == 6
    assert "nothing here is a result about real pictures" in page
    assert re.search(r"<mark[^>]*>\s*\w+ \w+ \(\d+,\d+\),\(\d+,\d+\)", page)


def test_the_page_needs_nothing_from_outside(shapes_run: Path):
    for tag, attributes in tags(page_of(shapes_run)):
        assert tag not in ("script", "link", "iframe")
        source = attributes.get("src")
        assert source is None or source.startswith("data:image/")
        target = attributes.get("href")
        assert target is None or target.startswith("#")


def test_hostile_text_stays_text(hostile_run: Path):
    found = tags(page_of(hostile_run))
    assert not [tag for tag, _ in found if tag == "script"]
    assert not [attributes for _, attributes in found if "onerror" in attributes]
    assert "{{ 7*7 }}" in page_of(hostile_run)


def test_holes_are_in_plain_sight(hostile_run: Path):
    page = page_of(hostile_run)
    assert "Incomplete: " in page
    assert "unscored 1" in page
    assert "the file does not exist" in page


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_opens_it_and_runs_nothing(hostile_run: Path, tmp_path: Path):
    run = load_run(hostile_run)
    page = write_page(run, summarise_run(run))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [str(CHROMIUM), *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", shown)
    assert title is not None
    assert title[1] == "run · gotr1-eval"
