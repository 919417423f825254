"""The viewer in a browser: no error, no serious fault of accessibility; a run that is written shows how far it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from gotr1_eval.runs.judgments import sample_row
from gotr1_eval.web.addresses import listening
from gotr1_eval.web.guard import server
from gotr1_eval.web.view import Viewer, create_app
from reports.run_data import load_run
from reports.viewer.runs_folder import RunsFolder
from reports.viewer.search import SearchIndex
from tests.browser import LAPTOP, PHONE, needs_browser, open_page, serious_faults, started_browser
from tests.report_runs import varied_run

pytestmark = [needs_browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(address, folder) of a viewer of two runs."""
    root = tmp_path / "runs"
    for name in ("one", "two"):
        varied_run(root / name, prompts=8)
    runs = RunsFolder(root)
    viewer = Viewer(runs, SearchIndex(runs, tmp_path / "index"))
    viewer.follow()
    with listening("127.0.0.1", 0) as listener:
        running = server(create_app(viewer))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", root
        running.should_exit = True
        thread.join()
    viewer.stop()


def test_from_the_list_to_a_sample_in_two_runs(browser: Browser, served: tuple[str, Path]):
    url, _ = served
    with open_page(browser, f"{url}/") as page:
        assert serious_faults(page) == []
        page.fill("#filter", "two")
        assert page.locator(".runs tbody tr:visible").count() == 1
        page.fill("#filter", "")
        for name in ("one", "two"):
            page.check(f"[aria-label='Choose {name}']")
        page.click("text=Pictures side by side")
        page.wait_for_url("**/samples?run=*&run=*")
        assert page.locator(".side img").count() == 24
        assert serious_faults(page) == []
        page.select_option("[name=category]", "spatial")
        page.click("text=Show")
        page.locator(".side a").first.click()
        expect(page.locator("h2")).to_have_text(["two", "one"] if "run=two&run=one" in page.url else ["one", "two"])
        assert serious_faults(page) == []
        page.fill("[name=q]", "dog")
        page.press("[name=q]", "Enter")
        assert page.locator(".hits li").count() > 0
    with open_page(browser, f"{url}/board?run=one&run=two", PHONE, "dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert serious_faults(page) == []


def test_a_run_that_is_written_moves(browser: Browser, served: tuple[str, Path]):
    """Within three seconds, and without the page being loaded again."""
    url, root = served
    with open_page(browser, f"{url}/", LAPTOP) as page:
        count = page.locator("tr[data-name=one] .progress")
        assert count.inner_text().startswith("16")
        row = sample_row(next(iter(load_run(root / "one").samples.values())), root / "one")
        with (root / "one" / "samples.jsonl").open("a") as file:
            file.write(json.dumps({**row, "id": "fresh/1"}) + "\n")
        expect(count).to_contain_text("17", timeout=3000)
