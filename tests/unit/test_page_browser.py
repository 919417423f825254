"""The report page in a browser: no error, no serious fault of accessibility, and every control does what it says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from gotr1_eval.core.outcome import Outcome, QuestionVerdict, Score
from gotr1_eval.core.types import Sample
from reports.run_data import load_run
from reports.run_page.page import write_page
from reports.run_page.training import write_training_page
from reports.run_summary import summarise_run
from tests.browser import LAPTOP, PHONE, needs_browser, open_page, serious_faults, started_browser
from tests.made_runs import made_run, scattered
from tests.report_runs import varied_run
from tests.unit.test_page import HOSTILE, write_hostile_run
from tests.unit.test_training_page import write_training

pytestmark = [needs_browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = load_run(varied_run(tmp_path_factory.mktemp("runs") / "run"))
    return write_page(run, summarise_run(run))


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Iterator[Page]:
    with open_page(browser, page_file.as_uri()) as page:
        yield page


def prompts(page: Page) -> list[str]:
    return page.locator("article h3").all_inner_texts()


def scores(page: Page) -> list[str]:
    """What the cards show of the chosen judge."""
    return page.locator("article .values .chosen dd").all_inner_texts()


def count(page: Page) -> str:
    return page.locator("#count").inner_text()


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_it_opens_without_fault(
    browser: Browser, page_file: Path, size: tuple[int, int], colours: Literal["light", "dark"]
):
    with open_page(browser, page_file.as_uri(), size, colours) as page:
        assert page.locator("article").count() == 24
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert serious_faults(page) == []
        page.locator("article h3 button").first.click()
        page.locator("#sample .chain").wait_for()
        # axe takes seconds; the dialog is looked at in one window of each kind.
        if (size == PHONE) is (colours == "dark"):
            assert serious_faults(page) == []


WHOLLY_SEEN = "e => { const at = e.getBoundingClientRect(); return at.top >= 0 && at.bottom <= innerHeight; }"


@pytest.mark.parametrize(("size", "least"), [(LAPTOP, 12), ((412, 800), 2)], ids=["laptop", "phone"])
def test_the_first_screen_is_pictures(browser: Browser, page_file: Path, size: tuple[int, int], least: int):
    """The sentence and pictures stand wholly on the first screen, and on a laptop the chart does."""
    with open_page(browser, page_file.as_uri(), size) as page:
        assert page.locator(".lead").evaluate(WHOLLY_SEEN)
        assert sum(picture.evaluate(WHOLLY_SEEN) for picture in page.locator(".strip img").all()) >= least
        assert size != LAPTOP or page.locator(".glance svg").evaluate(WHOLLY_SEEN)


def test_a_sample_has_a_link(browser: Browser, page_file: Path, page: Page):
    page.locator(".strip a").first.click()
    page.locator("#sample .chain").wait_for()
    name = page.locator("#sample-id").inner_text()
    link = page.url
    assert link.endswith("#sample=" + page.evaluate("name => encodeURIComponent(name)", name))
    page.locator("#sample-picture .view").click()
    assert page.locator("#sample.zoomed").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "#" not in url)
    with open_page(browser, link) as other:
        other.locator("#sample .chain").wait_for()
        assert other.locator("#sample-id").inner_text() == name
    with open_page(browser, page_file.as_uri() + "#sample=nobody") as other:
        assert other.locator("#sample[open]").count() == 0


def test_tables_are_saved_and_sorted(page: Page):
    with page.expect_download() as waited:
        page.click("#save-table")
    table = list(csv.DictReader(io.StringIO(waited.value.path().read_text())))
    assert {row["category"] for row in table} == {"color", "spatial", "numeracy", "all"}
    page.fill("#words", "dog 15")
    with page.expect_download() as waited:
        page.click("#save-samples")
    samples = list(csv.DictReader(io.StringIO(waited.value.path().read_text())))
    assert [row["prompt"] for row in samples] == ["a red cat and dog 15"] * 2
    scores = page.locator("table.overview").first
    heads, column = scores.locator("thead button"), scores.locator("tr td:nth-child(2) [data-value]")

    def values() -> list[float]:
        return [float(cell.get_attribute("data-value") or "nan") for cell in column.all()]

    *before, pooled = values()
    heads.nth(1).click()
    assert values() == [*sorted(before, reverse=True), pooled]
    heads.nth(1).click()
    assert values() == [*sorted(before), pooled]
    heads.nth(0).click()
    assert scores.locator("tbody th").all_inner_texts() == ["color", "numeracy", "spatial", "all"]


def test_filters_by_click(page: Page):
    assert count(page) == "80 of 80 samples match"
    page.select_option("#category", label="spatial")
    assert count(page) == "26 of 80 samples match"
    page.fill("#from", "0.5")
    assert all(float(score) >= 0.5 for score in scores(page))
    page.fill("#to", "0.6")
    assert 0 < len(scores(page)) < 26
    assert all(0.5 <= float(score) <= 0.6 for score in scores(page))
    page.click("text=Reset")
    expect(page.locator("#count")).to_have_text("80 of 80 samples match")
    page.select_option("#outcome", label="unscored")
    assert count(page) == "8 of 80 samples match"
    assert set(scores(page)) == {"unscored: unreadable"}
    page.select_option("#judge", label="reasoning image")
    assert count(page) == "0 of 80 samples match"
    page.select_option("#outcome", label="unscored by any judge")
    assert count(page) == "8 of 80 samples match"
    page.select_option("#outcome", label="any")
    page.select_option("#defect", label="missing number")
    assert count(page) == "16 of 80 samples match"
    page.fill("#words", "DOG 15")
    assert prompts(page) == ["a red cat and dog 15"] * 2


def test_order_and_pages(page: Page):
    page.select_option("#order", label="lowest score first")
    first = [float(score) for score in scores(page)]
    assert first == sorted(first)
    page.click("#next")
    page.click("#next")
    page.click("#next")
    assert page.locator("#page").inner_text() == "4 of 4"
    assert page.locator("#next").is_disabled()
    assert scores(page)[-8:] == ["unscored: unreadable"] * 8
    page.select_option("#judge", label="semantic")
    page.select_option("#order", label="highest score first")
    best = [float(score) for score in scores(page)]
    assert best == sorted(best, reverse=True)
    rows = page.evaluate("run.rows.disagreement")
    page.select_option("#order", label="judges disagree most")
    shown = page.evaluate("state.matching.map((row) => rows.disagreement[row])")
    assert [value for value in shown if value is not None] == sorted(filter(None, rows), reverse=True)


def test_it_all_works_by_keyboard(page: Page):
    page.locator("#judge").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert count(page) == "28 of 80 samples match"
    page.locator("article h3 button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#sample").is_visible()
    first = page.locator("#sample-id").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#sample-id").inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert page.locator("#sample-id").inner_text() == first
    page.locator("#sample [data-boxes=planned]").focus()
    page.keyboard.press("Space")
    assert page.locator("#sample-picture .planned").first.is_hidden()
    assert page.locator("#sample-plan .planned").first.is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#sample").is_hidden()
    assert page.evaluate("document.activeElement.textContent").startswith("a red cat")


def test_boxes_are_toggled_everywhere(page: Page):
    planned, found = (page.locator(f"article svg .{kind}").first for kind in ("planned", "found"))
    assert planned.is_visible()
    assert found.is_visible()
    page.uncheck("#controls [data-boxes=found]")
    assert not found.is_visible()
    assert planned.is_visible()
    page.locator("article h3 button").first.click()
    assert not page.locator("#sample [data-boxes=found]").is_checked()
    page.check("#sample [data-boxes=found]")
    assert page.locator("#sample-picture .found").first.is_visible()
    page.click("#sample-close")
    assert found.is_visible()


def test_a_sample_is_shown_whole(page: Page):
    page.locator("article h3 button").nth(6).click()
    shown = page.locator("#sample")
    marks = shown.locator("mark")
    assert [text.partition(" (")[0] for text in marks.all_inner_texts()] == ["red cat", "dog 3"]
    colours = [marks.nth(place).evaluate("each => getComputedStyle(each).borderBottomColor") for place in (0, 1)]
    boxes = shown.locator("#sample-picture .planned rect:not(.halo)")
    assert [boxes.nth(place).evaluate("each => getComputedStyle(each).stroke") for place in (0, 1)] == colours
    assert shown.locator(".label.found").all_inner_texts() == ["red cat", "lamp"]
    assert "Found by judge[reasoning_image]" in shown.inner_text()
    assert "no number in the reply" in shown.inner_text()
    shown.locator("summary").first.click()
    assert "because of a red cat and dog 3" in shown.locator("pre").first.inner_text()


def test_files_beside_the_page_are_loaded_when_shown(browser: Browser, page_file: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch):  # fmt: skip
    monkeypatch.setattr("reports.run_page.page.EMBEDDED", 10)
    run = load_run(page_file.parent)
    path = write_page(run, summarise_run(run), tmp_path / "all.html", everything=True)
    with open_page(browser, path.as_uri()) as page:
        expect(page.locator("article img")).to_have_count(24)
        for picture in page.locator("article img").all():
            expect(picture).not_to_have_js_property("naturalWidth", 0)
        assert page.evaluate("gallery.files.size") <= 2
        page.locator("article h3 button").nth(5).click()
        page.locator("#sample mark").first.wait_for()
    for file in (tmp_path / "all_files").iterdir():
        file.unlink()
    with closing(browser.new_page()) as alone:
        alone.goto(path.as_uri())
        alone.locator("article >> text=the folder all_files is not beside it").first.wait_for()
        assert alone.locator("article").count() == 24


def asked(sample: Sample) -> Outcome:
    """Four questions, of which each is another case."""
    questions = (
        QuestionVerdict(question="a", text=f"Is there a cat? {HOSTILE}", tag="object", verdict=1.0, counted=1.0),
        QuestionVerdict(question="b", text="Is it red?", tag="color", verdict=1.0, counted=0.0),
        QuestionVerdict(question="c", text="Is it left?", verdict=0.25, counted=0.25),
        QuestionVerdict(question="d", text="Is it new?", verdict=None, counted=None, why="the reply is empty"),
    )
    return Score(value=0.5, questions=questions)


def test_before_and_after_stand_in_one_dialog(browser: Browser, tmp_path: Path):
    """Both pictures and both scores, a list by what changed, and the checklist's questions with their answers."""
    before = made_run(tmp_path / "before", {"one": scattered(0.4), "asked": asked}, prompts=3)
    after = made_run(tmp_path / "after", {"one": scattered(0.6, salt=1), "asked": asked}, prompts=4)
    path = write_page(after, summarise_run(after), before=before)
    values = [{name: one.value for name, one in run.outcomes["one"].items() if isinstance(one, Score)}
              for run in (before, after)]  # fmt: skip
    change = {name: values[1][name] - values[0][name] for name in values[0]}
    lost = min(change, key=lambda name: change[name])
    with open_page(browser, path.as_uri(), LAPTOP, "dark") as page:
        page.select_option("#order", "lost")
        page.locator("article h3 button").first.click()
        shown = page.locator("#sample")
        expect(shown.locator("#sample-before img")).to_be_visible()
        assert shown.locator("#sample-id").inner_text() == lost
        assert shown.locator(".side-name").all_inner_texts() == ["before", "this run"]
        first = shown.locator(".verdict").first.inner_text()
        assert f"{values[1][lost]:.3f}" in first
        assert f"{values[0][lost]:.3f}, " in first
        assert f"{change[lost]:+.3f}".replace("-", "−") in first
        said = shown.locator(".questions li")
        assert said.locator("b").all_inner_texts() == [
            "yes", "yes, counts 0: a parent was denied", "0.25", "not answered: the reply is empty",
        ]  # fmt: skip
        assert HOSTILE in said.first.inner_text()
        page.keyboard.press("z")
        expect(shown).to_have_class("zoomed")
        assert shown.locator("#sample-zoom").get_attribute("aria-pressed") == "true"
        assert serious_faults(page) == []
        page.keyboard.press("Escape")
        page.select_option("#order", "run")
        with page.expect_download() as waited:
            page.click("#save-samples")
        rows = list(csv.DictReader(io.StringIO(waited.value.path().read_text())))
        assert {row["sample"]: row["one minus before"] for row in rows if row["one minus before"]} == {
            name: f"{round(value, 5):g}" for name, value in change.items()
        }
        page.locator("article h3 button").nth(6).click()
        expect(shown.locator("#sample-picture img")).to_be_visible()
        assert rows[6]["sample"] not in change
        assert shown.locator("#sample-before").inner_html() == "", "this one was not in the run before"


def test_hostile_text_is_text(browser: Browser, tmp_path: Path):
    run = load_run(write_hostile_run(tmp_path / "run"))
    path = write_page(run, summarise_run(run))
    with open_page(browser, path.as_uri(), PHONE) as page:
        assert page.title() == "run · gotr1-eval"
        assert prompts(page) == [HOSTILE] * 2
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        for place in (0, 1):
            page.locator("article h3 button").nth(place).click()
            page.locator("#sample summary").first.click()
            assert HOSTILE in page.locator("#sample pre").first.inner_text()
            assert HOSTILE in page.locator("#sample mark").first.inner_text()
            page.keyboard.press("Escape")
        assert page.evaluate("[...document.scripts].length") == 2
        assert page.locator("img[src=x]").count() == 0


def test_the_policy_stops_what_would_slip_through(browser: Browser, page_file: Path):
    with closing(browser.new_page()) as page:
        page.goto(page_file.as_uri())
        broken = page.evaluate(
            """async () => {
              const broken = new Set();
              document.addEventListener("securitypolicyviolation", (event) => broken.add(event.effectiveDirective));
              document.body.insertAdjacentHTML("beforeend", "<img src=data:, onerror='owned=1'><p style='color:red'>");
              const script = document.createElement("script");
              script.textContent = "owned = 2";
              document.body.append(script);
              document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
              document.body.append(Object.assign(document.createElement("iframe"), { src: "http://127.0.0.1:9/" }));
              await fetch("http://127.0.0.1:9/").catch(() => {});
              for (let wait = 0; broken.size < 6 && wait < 50; wait += 1) await new Promise((r) => setTimeout(r, 100));
              return [...broken].sort();
            }"""
        )
        assert page.evaluate("typeof owned") == "undefined"
        stopped = {"connect-src", "frame-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr"}
        assert set(broken) == stopped


def test_the_training_page_opens_without_fault(browser: Browser, tmp_path: Path):
    path = write_training_page(write_training(tmp_path / "grpo"))
    with open_page(browser, path.as_uri(), PHONE, "dark") as page:
        assert serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_curves_are_smoothed_scaled_and_read(browser: Browser, tmp_path: Path):
    """The drawn line is the average by its definition; what is read off is what is drawn."""
    path = write_training_page(write_training(tmp_path / "grpo"))
    with open_page(browser, path.as_uri()) as page:
        figure = page.locator("#curve-plots figure").first
        curve = page.evaluate("curves[0]")
        points, (low, high, start, end) = curve["lines"][0][1], curve["y"]

        def drawn() -> list[float]:
            places = (figure.locator(".line:not(.raw)").get_attribute("d") or "").strip("M").split("L")
            return [low + (float(place.split()[1]) - start) / (end - start) * (high - low) for place in places]

        assert drawn() == pytest.approx([value for _, value in points], abs=0.01)
        page.locator("#smoothing").fill("0.5")
        weights = [[0.5 ** (place - other) for other in range(place + 1)] for place in range(len(points))]
        wanted = [
            sum(weight * value for weight, (_, value) in zip(row, points, strict=False)) / sum(row) for row in weights
        ]
        assert drawn() == pytest.approx(wanted, abs=0.01)
        assert figure.locator(".raw").count() == 1
        figure.locator("svg").hover(position={"x": 100, "y": 60})
        said = figure.locator("output").inner_text()
        step = float(said.removeprefix("step ").split(":")[0])
        place = next(place for place, (at, _) in enumerate(points) if at == step)
        assert float(said.split(":")[1].split(",")[0]) == pytest.approx(wanted[place], abs=5e-3)
        page.locator("#smoothing").fill("0")
        page.check("#logarithmic")
        positive = [value for _, value in points if value > 0]
        ticks = [float(text) for text in figure.locator("text[text-anchor=end]").all_text_contents()]
        assert min(ticks) == pytest.approx(min(positive), rel=0.01)
        assert figure.locator(".line").count() == 1
        page.uncheck("#logarithmic")
        assert drawn() == pytest.approx([value for _, value in points], abs=0.01)
        assert serious_faults(page) == []
