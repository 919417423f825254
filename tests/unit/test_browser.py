"""The browser the page tests use: it sees errors, strange requests and faults of accessibility."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import needs_browser, open_page, serious_faults, started_browser

pytestmark = [needs_browser, pytest.mark.slow]


def opened(folder: Path, body: str) -> list[str]:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><html lang=en><title>t</title><main>{body}</main></html>", encoding="utf-8")
    with started_browser() as browser, open_page(browser, path.as_uri()) as page:
        return serious_faults(page)


def test_a_sound_page_passes(tmp_path: Path) -> None:
    assert opened(tmp_path, "<h1>Sound</h1>") == []


@pytest.mark.parametrize("body", ["<script>throw Error('x')</script>", "<img alt='' src='http://127.0.0.1:9/x.png'>"])
def test_errors_and_requests_fail_the_test(tmp_path: Path, body: str) -> None:
    with pytest.raises(AssertionError):
        opened(tmp_path, body)


def test_a_picture_without_words_is_a_fault(tmp_path: Path) -> None:
    assert opened(tmp_path, "<img src='data:,'>")[0].startswith("image-alt")
