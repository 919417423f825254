"""A run that is asked for more goes on: nothing is done twice, and a changed setting is named as it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.files.jsonl import read_rows
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import FolderPictures, GeneratedPictures, GivenPictures
from gotr1_eval.runs.store import read_samples, tiles
from reports.run_data import load_run
from reports.run_summary import summarise_run
from tests.fakes import OracleGenerator

SETTINGS = {"categories": ("color",), "images": 1, "limit": 2, "seed": 0}


def start(folder: Path, pictures: Path | None = None, **changes: object) -> OracleGenerator:
    """One start of a run with tiles of four; returns the generator, which knows what it was asked."""
    asked = SETTINGS | changes
    plan = list_samples(
        ShapesSuite(), asked["categories"], images_per_prompt=asked["images"], limit=asked["limit"], seed=asked["seed"]
    )
    generator = OracleGenerator()
    painter = GeneratedPictures(generator) if pictures is None else FolderPictures(pictures, plan)
    named = {"categories": [*asked["categories"]], "images_per_prompt": asked["images"]}
    identity = {"suite": "shapes", **named, "limit": asked["limit"], "seed": asked["seed"]}
    run_job(
        Job(
            folder=folder,
            samples=plan,
            pictures=painter,
            rewards=Builder().reward_set("shapes_prompt_image"),
            settings=identity,
            tile=4,
        )
    )
    return generator


def judged(folder: Path) -> list[tuple[str, str]]:
    return [(row["sample"], row["judge"]) for _, row in read_rows(folder / "judgments.jsonl")]


@pytest.mark.parametrize(
    ("more", "samples"),
    [
        ({"limit": 5}, 5),
        ({"images": 3}, 6),
        ({"categories": ("color", "spatial")}, 4),
        ({"limit": 3, "images": 2, "categories": ("color", "spatial")}, 12),
    ],
)
def test_a_run_grows_and_nothing_is_done_twice(tmp_path: Path, more: dict, samples: int):
    start(tmp_path / "run")
    before = read_samples(tmp_path / "run")
    pictures = {name: sample.image.read_bytes() for name, sample in before.items()}
    painter = start(tmp_path / "run", **more)
    assert sum(map(len, painter.calls)) == samples - len(before)
    after = read_samples(tmp_path / "run")
    assert len(after) == samples
    assert {name: after[name].image.read_bytes() for name in before} == pictures
    assert len(judged(tmp_path / "run")) == len(set(judged(tmp_path / "run"))) == samples
    start(tmp_path / "whole", **more)
    tables = [summarise_run(load_run(tmp_path / name)).rows for name in ("run", "whole")]
    assert tables[0] == tables[1]
    assert start(tmp_path / "run", **more).calls == []


def test_a_run_may_grow_again_and_be_killed_meanwhile(tmp_path: Path):
    start(tmp_path / "run")
    start(tmp_path / "run", limit=9)
    rows = (tmp_path / "run" / "samples.jsonl").read_text().splitlines(keepends=True)
    assert len(rows) == 9
    (tmp_path / "run" / "samples.jsonl").write_text("".join(rows[:6]))
    assert sum(map(len, start(tmp_path / "run", limit=9).calls)) == 3
    start(tmp_path / "run", limit=10)
    assert len(read_samples(tmp_path / "run")) == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limit": 1}, r"\(--limit was 2, now 1\)"),
        ({"seed": 1, "limit": 5}, r"--limit was 2, now 5; --seed was 0, now 1\)"),
        ({"categories": ("spatial",)}, r'--categories was \["color"\], now \["spatial"\]\)'),
    ],
)
def test_what_changed_is_named_by_its_option(tmp_path: Path, changes: dict, message: str):
    start(tmp_path / "run")
    with pytest.raises(UsageError, match=message):
        start(tmp_path / "run", **changes)


def test_rows_may_be_appended_to_a_manifest(tmp_path: Path):
    for number in range(4):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    rows = [json.dumps({"prompt": f"a {n}", "image": f"{n}.png"}) + "\n" for n in range(4)]

    def score() -> None:
        manifest = Manifest(tmp_path / "list.jsonl")
        rewards = Builder().reward_set("shapes_prompt_image")
        asked = {"source": manifest.place}
        run_job(
            Job(
                folder=tmp_path / "run",
                samples=list(manifest),
                pictures=GivenPictures(manifest.place),
                rewards=rewards,
                settings=asked,
                tile=4,
            )
        )

    (tmp_path / "list.jsonl").write_text("".join(rows[:2]))
    score()
    (tmp_path / "list.jsonl").write_text("".join(rows))
    score()
    assert len(judged(tmp_path / "run")) == len(set(judged(tmp_path / "run"))) == 4
    (tmp_path / "list.jsonl").write_text("".join(rows[1:]))
    with pytest.raises(UsageError, match="the prompts of all are no longer the same"):
        score()


def test_pictures_may_be_added_to_a_folder_but_not_changed(tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    prompts = ShapesSuite().prompts("color")[:3]
    for number, prompt in enumerate(prompts[:2]):
        Image.new("RGB", (8, 8)).save(folder / f"{prompt}_{number:06d}.png")
    start(tmp_path / "run", folder)
    Image.new("RGB", (8, 8)).save(folder / f"{prompts[2]}_000002.png")
    start(tmp_path / "run", folder, limit=3)
    assert [sample.image is not None for sample in read_samples(tmp_path / "run").values()] == [True] * 3
    Image.new("RGB", (9, 9)).save(folder / f"{prompts[0]}_000000.png")
    with pytest.raises(UsageError, match="its pictures, or the generator's weights or settings, are no longer"):
        start(tmp_path / "run", folder, limit=3)


def test_tiles_begin_anew_where_a_run_grew():
    assert tiles([*range(9)], 4, (2, 7)) == [[0, 1], [2, 3, 4, 5], [6], [7, 8]]
    assert tiles([*range(5)], 4) == [[0, 1, 2, 3], [4]]
