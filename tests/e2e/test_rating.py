"""A study with people, from the draw to the export: two raters at once, and a server that is killed in between."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from gotr1_eval.cli.app import run
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import GotR1Error
from gotr1_eval.core.types import Box
from gotr1_eval.files.jsonl import append_rows
from gotr1_eval.web.rating_store import RatingStore
from gotr1_eval.web.shown_items import item_key
from reports.agreement.study_folder import Study, read_study
from tests.browser import LAPTOP, PHONE, needs_browser, open_page, serious_faults, started_browser
from tests.command_line import SCRIPT
from tests.e2e.test_command_line import assert_one_line
from tests.rating_study import HOSTILE, written_pairs, written_study

pytestmark = pytest.mark.slow

NO_SERVER = "net::ERR_"
"""A request to a killed server may be refused, reset or left without an answer: which is a matter of the moment."""
expect.set_options(timeout=30_000)
CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """(process, link) of a rating server; killed at the end if it still runs."""
    command = [str(SCRIPT), "rate", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        try:
            yield process, found[0]
        finally:
            process.kill()


def enter(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.keyboard.press("Enter")
    expect(page.locator("#known-yes, fieldset").locator("visible=true").first).to_be_visible()
    if page.locator("#known-yes").is_visible():
        page.click("#known-yes")
    expect(page.locator("fieldset").first).to_be_visible()


def shown(page: Page) -> str:
    """The item on the page, by the name that the page knows."""
    source = page.get_attribute("#plan", "src") or ""
    return source.removeprefix("plans/").removesuffix(".png")


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("All saved")


def fetched(page: Page, items: int) -> None:
    """Wait until so many items have come, the one fetched ahead among them."""
    names = "performance.getEntriesByType('resource').map(({ name }) => name)"
    page.wait_for_function(f"count => {names}.filter(name => name.includes('/api/items/')).length >= count", arg=items)


Clicked = dict[tuple[str, str, str], str]


def exported(folder: Path, study: Study) -> Clicked:
    """(rater, the page's name of the item, dimension) -> value, as the command writes it."""
    run(["rate", str(folder), "--export", str(folder / "out.csv")])
    with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {(row["rater"], item_key(study, row["item"]), row["dimension"]): row["value"] for row in rows}
    assert len(found) == len(rows)
    assert all(float(row["seconds"]) >= 0 and row["timestamp"] for row in rows)
    return found


def drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A study of four items from two scored runs of the same prompts."""
    Image.new("RGB", (64, 64), "red").save(folder / "x.png")
    rows = [{"prompt": f"a cat on the left of dog {n}", "image": "x.png", "chain": CHAIN} for n in range(4)]
    append_rows(folder / "list.jsonl", rows)
    runs = [str(folder / name) for name in ("one", "two")]
    for name in runs:
        run(["score", str(folder / "list.jsonl"), "--judges", "geometric", "--out", name])
    options = ["--dimensions", "spatial,prompt_image", "--items", "4", "--power"]
    run(["study", *runs, "--out", str(folder / "study"), *options])
    said = " ".join(capsys.readouterr().out.split())
    assert "4 items of 4 prompts (at most 1 of one), drawn from 8 samples" in said
    assert "95 % half-width" in said
    return folder / "study"


def key_through(page: Page, name: str, marks: str, clicked: Clicked) -> None:
    """Answer both questions of the shown item by keyboard, and go on."""
    item = shown(page)
    for mark, dimension in zip(marks.split(), ("spatial", "prompt_image"), strict=True):
        for key in mark:
            page.keyboard.press(key)
        clicked[name, item, dimension] = "" if mark == "c" else mark
        page.keyboard.press("Enter")


def click_through(page: Page, name: str, marks: str, clicked: Clicked) -> None:
    """The same by pointer, the second question first."""
    item = shown(page)
    for mark, dimension in reversed(list(zip(marks.split(), ("spatial", "prompt_image"), strict=True))):
        page.click(f"[data-dimension={dimension}] [data-value='{mark}']")
        clicked[name, item, dimension] = mark
    page.click("#next")


@needs_browser
def test_two_raters_at_once_and_a_killed_server(tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]):
    folder = drawn(tmp_path, capsys)
    study = read_study(folder)
    clicked: Clicked = {}
    with served(folder, "--port", "0") as (process, link), open_page(browser, link, tolerated=NO_SERVER) as ann:
        port = link.rstrip("/").rpartition(":")[2]
        with open_page(browser, link, tolerated=NO_SERVER) as bob:
            enter(ann, "Ann")
            enter(bob, "Bob")
            key_through(ann, "Ann", "7 10", clicked)
            click_through(bob, "Bob", "1 0", clicked)
            expect(bob.locator("#place")).to_have_text("Item 2 of 4")
            expect(ann.locator("#place")).to_have_text("Item 2 of 4")
            for page in (ann, bob):
                saved(page)
                fetched(page, 3)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert exported(folder, study) == clicked, "everything that was called saved is there"

            # The next item was fetched ahead; its answers wait, are said to wait, and outlive the closed window.
            key_through(ann, "Ann", "c 3", clicked)
            expect(ann.locator("#saved")).to_contain_text("2 answers are not saved yet: the server does not answer")
            other = ann.context.new_page()
            ann.close(run_before_unload=False)
            click_through(bob, "Bob", "4 10", clicked)
            expect(bob.locator("#saved")).to_contain_text("not saved yet")
            expect(bob.locator("#place")).to_have_text("Item 3 of 4")

            # The last item was not fetched: no answer may go to what is not shown.
            bob.keyboard.press("ArrowRight")
            expect(bob.locator("#hint")).to_contain_text("has not come yet (the server does not answer)")
            bob.keyboard.press("5")
            bob.locator("[data-dimension=spatial] [data-value='5']").click()
            bob.keyboard.press("ArrowLeft")
            expect(bob.locator("#hint")).to_have_text("")

            with served(folder, "--port", port):
                saved(bob)
                other.goto(link)
                enter(other, "ann")
                saved(other)
                assert exported(folder, study) == clicked
                for done, marks in ((2, "2 2"), (3, "9 9")):
                    for page in (other, bob):
                        expect(page.locator("#place")).to_have_text(f"Item {done + 1} of 4")
                        expect(page.locator("#count")).to_have_text(f"{done} of 4 done")
                    key_through(other, "Ann", marks, clicked)
                    click_through(bob, "Bob", marks, clicked)
                expect(other.locator("#done")).to_be_visible()
                expect(bob.locator("#done")).to_be_visible()
                saved(other)
                saved(bob)
                assert len(clicked) == 16
                assert exported(folder, study) == clicked
    (folder / "out.csv").rename(folder / "ratings.csv")
    run(["agreement", *(str(tmp_path / name) for name in ("one", "two")), str(folder)])
    said = " ".join(capsys.readouterr().out.split())
    assert "geometric" in said
    assert "2 raters" in said


@needs_browser
def test_going_back_undo_and_another_window(tmp_path: Path, browser: Browser):
    study = written_study(tmp_path)
    with served(tmp_path, "--port", "0") as (_, link), open_page(browser, link, tolerated="409") as page:
        enter(page, "Ann")
        first = shown(page)
        page.keyboard.press("4")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#place")).to_have_text("Item 2 of 3")
        page.keyboard.press("5")
        page.keyboard.press("u")
        page.keyboard.press("u")
        expect(page.locator("#place")).to_have_text("Item 1 of 3")
        expect(page.locator("#hint")).to_have_text("Undone.")
        saved(page)
        assert exported(tmp_path, study) == {}
        page.keyboard.press("6")
        page.keyboard.press("8")
        saved(page)
        assert exported(tmp_path, study) == {("Ann", first, "clarity"): "8"}
        with open_page(browser, link) as second:
            enter(second, "Ann")
            second.keyboard.press("g")
            page.keyboard.press("2")
            expect(page.locator("#taken")).to_be_visible()
            assert exported(tmp_path, study) == {("Ann", first, "clarity"): "8"}
            page.click("#taken-here")
            saved(page)
        assert exported(tmp_path, study) == {("Ann", first, "clarity"): "2"}


@needs_browser
def test_the_page_is_sound_in_both_sizes_and_colours(tmp_path: Path, browser: Browser):
    study = written_study(tmp_path)
    hostile = item_key(study, study.items[0].item)
    with served(tmp_path, "--port", "0") as (_, link):
        for number, (size, colours) in enumerate([(LAPTOP, "dark"), (PHONE, "light")]):
            with open_page(browser, link, size, colours) as page:  # type: ignore[arg-type]
                assert serious_faults(page) == []
                enter(page, f"rater {number}")
                while shown(page) != hostile:
                    place = page.text_content("#place")
                    page.click("#next")
                    expect(page.locator("#place")).not_to_have_text(place or "")
                assert page.text_content("#prompt") == HOSTILE
                assert page.title() == "Rating"
                page.keyboard.press("b")
                expect(page.locator("#frames rect")).to_have_count(1)
                expect(page.locator("#frames")).to_be_visible()
                ten = page.locator("[data-dimension=prompt_image] [data-value='10']")
                ten.click()
                expect(ten).to_have_attribute("aria-pressed", "true")
                page.keyboard.press("?")
                expect(page.locator("#help")).to_be_visible()
                assert serious_faults(page) == []
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@needs_browser
def test_pairs_by_keyboard_and_by_pointer(tmp_path: Path, browser: Browser):
    study = written_pairs(tmp_path)
    with served(tmp_path, "--port", "0") as (_, link):
        for number, (size, colours) in enumerate([(LAPTOP, "light"), (PHONE, "dark")]):
            with open_page(browser, link, size, colours) as page:  # type: ignore[arg-type]
                expect(page.locator("#introduction")).to_contain_text("two pictures")
                enter(page, f"rater {number}")
                expect(page.locator("#other")).to_be_visible()
                assert page.locator("#plan-figure, #chain-part, #frames-toggle").locator("visible=true").count() == 0
                for place in range(len(study.items)):
                    expect(page.locator("#place")).to_have_text(f"Item {place + 1} of {len(study.items)}")
                    if number:
                        page.get_by_role("button", name="left").first.click()
                        page.click("#next")
                    else:
                        page.keyboard.press("3")
                        page.keyboard.press("Enter")
                saved(page)
                expect(page.locator("#done")).to_be_visible()
                page.keyboard.press("?")
                expect(page.locator("#marks-help")).to_have_text("left, no difference, right")
                assert serious_faults(page) == []
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    verdicts = {(one.rater, one.verdict) for one in RatingStore(tmp_path, study).ratings()}
    assert verdicts == {("rater 0", "right"), ("rater 1", "left")}


@needs_browser
def test_a_remote_rater_enters_by_the_link_alone(tmp_path: Path, browser: Browser):
    written_study(tmp_path)
    with served(tmp_path, "--port", "0", "--host", "0.0.0.0") as (_, link):
        token = (tmp_path / ".rating-token").read_text()
        assert link.endswith(f"/?token={token}"), "the file keeps the link when the server starts again"
        here = re.sub(r"//[^:/]+", "//127.0.0.1", link)
        with open_page(browser, here.partition("?")[0], tolerated="401") as page:
            assert "Open the whole link" in (page.text_content("body") or "")
        with open_page(browser, here) as page:
            enter(page, "Ann")
            assert "token" not in page.url
            page.keyboard.press("7")
            saved(page)
            page.reload()
            expect(page.locator("#rater")).to_have_text("Ann")
    assert len(RatingStore(tmp_path, read_study(tmp_path)).ratings()) == 1


def test_faults_are_one_line(tmp_path: Path):
    with pytest.raises(GotR1Error, match=r"not a study: .*; draw one with `gotr1-eval study`"):
        run(["rate", str(tmp_path)])
    written_study(tmp_path)
    with pytest.raises(GotR1Error, match=r"--export .*: cannot be written"):
        run(["rate", str(tmp_path), "--export", str(tmp_path / "no" / "x.csv")])
    with pytest.raises(GotR1Error, match=r"--host 203.0.113.1 --port 8790: cannot listen there: .*; choose another"):
        run(["rate", str(tmp_path), "--host", "203.0.113.1"])
    with pytest.raises(GotR1Error, match="not a run folder"):
        run(["study", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")])
    with pytest.raises(GotR1Error, match="--rubric semantic: expected REWARD=FILE"):
        run(["study", str(tmp_path), "--out", str(tmp_path / "x"), "--rubric", "semantic"])


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path):
    written_study(tmp_path)
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['gotr1-eval', 'rate', sys.argv[1]]\n"
        "from gotr1_eval.__main__ import main; main()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_one_line(done, "rating needs fastapi: pip install fastapi uvicorn")
