"""The viewer on many large runs: how long the list, the first index, a filter and a search take, and how much memory.

    python -m tests.perf.viewer [--runs 100] [--samples 3000]

The runs are made up: 110 words a chain from 20,000, two replies of 1.4 kB a sample, scores in a table. Every request is
answered by the server itself; times are of the client.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient

from gotr1_eval.web.view import Viewer, create_app
from reports.viewer.runs_folder import RunsFolder
from reports.viewer.search import SearchIndex

FACTORS = ("semantic", "spatial", "total")
CATEGORIES = ("color", "spatial")


def make_run(folder: Path, number: int, samples: int, words: list[str]) -> int:
    """A finished run; its bytes."""
    rng = random.Random(number)
    folder.mkdir(parents=True)
    judges = [{"factor": name, "name": f"judge[{name}]", "fingerprint": "1", "range": [0, 1]} for name in FACTORS]
    setup = {
        "generator": f"model-{number}", "judges": judges, "expected": dict.fromkeys(CATEGORIES, samples // 2),
        "command": "", "versions": {},
    }  # fmt: skip
    info = {"format": 1, "identity": {"suite": "made", "seed": number}, "setup": setup}
    (folder / "run.json").write_text(json.dumps(info))
    reply = {"text": "it is so " * 150, "model": "m", "finish": "stop"}
    names = [f"made/{CATEGORIES[place % 2]}/{place // 2:05d}/0" for place in range(samples)]
    with (folder / "samples.jsonl").open("w") as rows, (folder / "judgments.jsonl").open("w") as judgments:
        for place, name in enumerate(names):
            sample = {
                "id": name, "prompt": " ".join(rng.choices(words, k=12)), "chain": " ".join(rng.choices(words, k=110)),
                "image": None, "seed": place, "generator": "m", "meta": {"category": CATEGORIES[place % 2]},
            }  # fmt: skip
            rows.write(json.dumps(sample) + "\n")
            for factor in FACTORS:
                said = {
                    "sample": name, "judge": f"judge[{factor}]", "fingerprint": "1", "repeat": 0, "value": 0.5,
                    "parts": {}, "note": "", "seen": [], "replies": [] if factor == "total" else [reply],
                    "seconds": 0.1,
                }  # fmt: skip
                judgments.write(json.dumps(said) + "\n")
    scores = {f"judge[{factor}]": np.random.default_rng(number).random(samples) for factor in FACTORS}
    pd.DataFrame({"id": names, **scores}).to_parquet(folder / "scores.parquet")
    return sum(path.stat().st_size for path in folder.iterdir())


def timed(do: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def main() -> None:
    """Print what takes how long."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--samples", type=int, default=3000)
    asked = parser.parse_args()
    words = [f"word{number}" for number in range(20_000)]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "runs"
        size = sum(make_run(root / f"run-{number:03}", number, asked.samples, words) for number in range(asked.runs))
        print(f"{asked.runs} runs of {asked.samples} samples, {size / 1e9:.2f} GB")
        runs = RunsFolder(root)
        viewer = Viewer(runs, SearchIndex(runs, Path(place) / "index"))
        client = TestClient(create_app(viewer), base_url="http://127.0.0.1")
        print(f"first list {timed(lambda: client.get('/')):.3f} s")
        print(f"means of all runs, beside the list {timed(runs.rows):.3f} s")
        print(f"list {timed(lambda: client.get('/')):.3f} s")
        print(f"first index {timed(viewer.index.update):.1f} s")
        print(f"index again, nothing new {timed(viewer.index.update):.3f} s")
        for path in ("/search?q=word17", "/search?q=word17+word4711", "/search?q=word471*"):
            print(f"{path} {timed(lambda path=path: client.get(path)):.3f} s")  # type: ignore[misc]
        first = "/samples?run=run-007&q=word17&judge=total&order=lowest"
        print(f"samples of a run, first {timed(lambda: client.get(first)):.3f} s")
        print(f"samples of a run, filtered and ordered {timed(lambda: client.get(first + '&category=color')):.3f} s")
        six = "&".join(f"run=run-{number:03}" for number in range(6))
        print(f"samples of six runs, first {timed(lambda: client.get(f'/samples?{six}')):.3f} s")
        print(f"samples of six runs, again {timed(lambda: client.get(f'/samples?{six}&page=3')):.3f} s")
        print(f"one sample {timed(lambda: client.get('/sample?run=run-007&id=made/color/01000/0')):.3f} s")
        for number in range(asked.runs):
            client.get(f"/samples?run=run-{number:03}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"peak memory after every run was looked at {peak:.0f} MB")


if __name__ == "__main__":
    main()
