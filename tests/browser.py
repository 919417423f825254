"""A headless Chromium for the tests of pages: the system's, driven by Playwright; without one these tests skip.

`open_page` fails the test at its end when the page wrote an error to the console, raised one, or asked the network for
anything but its own server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

LAPTOP, PHONE = (1280, 800), (390, 844)


@cache
def chromium() -> str | None:
    """Where the browser is: the environment variable CHROMIUM, or Debian's names for it."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


needs_browser = pytest.mark.skipif(chromium() is None, reason="no Chromium here (apt-get install chromium)")


@contextmanager
def started_browser() -> Iterator[Browser]:
    """The browser, headless; several pages may be opened in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser,
    url: str,
    size: tuple[int, int] = LAPTOP,
    colours: Literal["light", "dark"] = "light",
    tolerated: str | None = None,
) -> Iterator[Page]:
    """A page in a window of its own, closed again; every error it met fails the test.

    Args:
        tolerated: what an error on the console may hold all the same, where a test provokes it.
    """
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=colours)
    page = context.new_page()
    errors: list[str] = []

    def note(message: Any) -> None:
        if message.type == "error" and (tolerated is None or tolerated not in message.text):
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    origin = url.split("/", 3)[:3]

    def watch(request: Any) -> None:
        if not request.url.startswith(("data:", "blob:")) and request.url.split("/", 3)[:3] != origin:
            errors.append(f"asked for {request.url}")

    page.on("request", watch)
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    assert errors == [], errors


def serious_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical about the page as it stands, each with the elements it is about."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {[node['target'] for node in fault['nodes']][:5]}"
        for fault in violations
        if fault["impact"] in ("serious", "critical")
    ]
