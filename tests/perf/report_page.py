"""How long a report takes to write and to open, and how long its gallery takes to sort and filter.

    python -m tests.perf.report_page                     # 3000 samples of 512 pixels, five judges
    python -m tests.perf.report_page --samples 300 --side 64

Writes the run into a temporary folder, then the page with its 200 samples and the page with everything beside it, and
opens both in the headless browser of the tests. Times are wall time (shared with whatever else the machine does) and
processor time: of this process, and of the browser's main thread.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from reports.run_data import load_run
from reports.run_page.page import write_page
from reports.run_summary import summarise_run
from tests.browser import started_browser
from tests.report_runs import write_run

CATEGORIES = ("color", "shape", "texture", "spatial", "numeracy", "complex")
JUDGES = ("semantic", "spatial", "reasoning_image", "prompt_image", "total")
WORDS = ["quiet", "picture", "old", "harbour", "in", "which", "boats", "lie", "beside", "another", "under", "soft"]
PICTURES = 50
LATER = "await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));"
ACTIONS = {
    "sort by score": ("order", "highest"),
    "sort by disagreement": ("order", "disagreement"),
    "filter by category": ("category", "1"),
    "filter by outcome": ("outcome", "by any"),
    "search the prompts": ("words", "harbour 1"),
}


def make_run(folder: Path, count: int, side: int) -> Path:
    """Chains of some 150 words, replies of some 100, pictures of smooth noise (some files serve many samples)."""
    draw = random.Random(0)
    pictures = folder.parent / "pictures"
    pictures.mkdir()
    noise = np.random.default_rng(0)
    samples = []
    for place in range(PICTURES):
        coarse = Image.fromarray(noise.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(pictures / f"{place}.png")
    for place in range(count):
        corners = [(draw.random() * 0.6, draw.random() * 0.6) for _ in range(4)]
        plan = write_chain((f"boat {n}", Box(x, y, x + 0.3, y + 0.3)) for n, (x, y) in enumerate(corners))
        category = CATEGORIES[place % len(CATEGORIES)]
        samples.append(
            Sample(
                id=f"perf/{category}/{place // 4:05d}/{place % 4}",
                prompt=" ".join([*draw.choices(WORDS, k=9), f"harbour {place // 4}"]),
                chain=" ".join(draw.choices(WORDS, k=draw.randrange(100, 200))) + plan,
                image=pictures / f"{place % PICTURES}.png",
                meta={"category": category},
            )
        )

    def judge(sample: Sample) -> Outcome:
        reply = Reply(text=" ".join(draw.choices(WORDS, k=100)), model="judge")
        if draw.random() < 0.02:
            return Unscored(why=Why.UNREADABLE, detail="no score in the reply", replies=(reply,))
        return Score(value=draw.random(), parts={"one": draw.random(), "two": draw.random()}, replies=(reply,))

    return write_run(folder, samples, dict.fromkeys(JUDGES, judge))


@contextmanager
def opened(browser: Browser, page_file: Path) -> Iterator[Page]:
    """The page in a window of its own; a busy machine may take as long as it needs."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(0)
    try:
        page.goto(page_file.as_uri())
        yield page
    finally:
        page.close()


class Meter:
    """The processor time of a page's main thread: script, style, layout and painting."""

    def __init__(self, page: Page) -> None:
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def milliseconds(self) -> dict[str, float]:
        """Since the page was opened, by kind."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: 1000 * metric["value"] for metric in metrics}


def opening(browser: Browser, page_file: Path) -> dict[str, float]:
    """Milliseconds from the start of the load to the first paint, until all is there, and of script."""
    with opened(browser, page_file) as page:
        meter = Meter(page)
        page.reload()
        page.wait_for_selector("article")
        before = meter.milliseconds()
        wall: dict[str, float] = page.evaluate(
            """() => {
              const load = performance.getEntriesByType("navigation")[0];
              const paint = performance.getEntriesByName("first-contentful-paint")[0];
              return { "first paint": paint?.startTime ?? NaN, "page complete": load.domComplete,
                       "gallery": performance.getEntriesByName("gallery")[0].duration };
            }"""
        )
    return {**wall, "script, processor": before["ScriptDuration"], "all work, processor": before["TaskDuration"]}


def acting(browser: Browser, page_file: Path, repeats: int = 5) -> dict[str, tuple[float, float]]:
    """(wall, processor) milliseconds of each action, medians: from the event until the cards are laid out."""
    found = {}
    with opened(browser, page_file) as page:
        meter = Meter(page)
        page.wait_for_selector("article")
        for name, action in ACTIONS.items():
            tries = [_act(page, meter, action) for _ in range(repeats)]
            found[name] = (statistics.median(t[0] for t in tries), statistics.median(t[1] for t in tries))
    return found


def _act(page: Page, meter: Meter, action: tuple[str, str]) -> tuple[float, float]:
    page.evaluate(f"async () => {{ document.getElementById('controls').reset(); {LATER} {LATER} }}")
    before = meter.milliseconds()["TaskDuration"]
    wall = page.evaluate(
        """([field, value]) => {
          const control = document.getElementById(field), start = performance.now();
          control.value = value;
          control.dispatchEvent(new Event("input", { bubbles: true }));
          document.body.getBoundingClientRect();
          return performance.now() - start;
        }""",
        list(action),
    )
    return wall, meter.milliseconds()["TaskDuration"] - before


def main() -> None:
    """Print the figures as a table."""
    options = argparse.ArgumentParser()
    options.add_argument("--samples", type=int, default=3000)
    options.add_argument("--side", type=int, default=512)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name, started_browser() as browser:
        folder = make_run(Path(name) / "run", asked.samples, asked.side)
        for kind, everything in (("one file", False), ("--all", True)):
            start, busy = time.perf_counter(), time.process_time()
            run = load_run(folder)
            table = summarise_run(run)
            page_file = write_page(run, table, everything=everything)
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            beside = sum(file.stat().st_size for file in folder.glob("report_files/*"))
            sizes = f"{page_file.stat().st_size / 1e6:.1f} MB, beside it {beside / 1e6:.1f} MB"
            print(f"{kind}: written in {seconds:.1f} s ({busy:.1f} s of processor), {sizes}")
            for what, milliseconds in opening(browser, page_file).items():
                print(f"  {what:<22}{milliseconds:8.0f} ms")
            for what, (wall, processor) in acting(browser, page_file).items():
                print(f"  {what:<22}{wall:8.0f} ms, {processor:.0f} ms of processor")


if __name__ == "__main__":
    main()
