"""Whole runs with the embedded checkpoint, from prompt to report."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.types import Box
from gotr1_eval.files.jsonl import append_rows
from gotr1_eval.runs.store import read_judgments, read_samples
from tests.command_line import SCRIPT, start, start_process
from tests.conftest import SHARED
from tests.e2e.test_command_line import HOSTILE_PROMPTS

pytestmark = pytest.mark.slow

SHAPES = ["compbench", "--ckpt", "tiny-janus", "--suite", "shapes", "--limit", "2", "--tile", "6"]


def content(run: Path) -> tuple[object, object, dict[str, bytes]]:
    """What two runs must agree on: samples, judgments without their seconds, and every pixel."""
    samples = {s.id: replace(s, image=None) for s in read_samples(run).values()}
    judgments = {key: replace(judgment, seconds=0) for key, judgment in read_judgments(run).items()}
    pictures = {str(p.relative_to(run)): p.read_bytes() for p in (run / "images").rglob("*.png")}
    return samples, judgments, pictures


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An unbroken run and the table it printed."""
    folder = tmp_path_factory.mktemp("whole")
    done = start(*SHAPES, "--out", "run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stdout


def test_the_table_is_complete(whole: tuple[Path, str]):
    table = json.loads(whole[1])
    assert table["complete"]
    assert list(table["rows"]) == ["color", "shape", "texture", "spatial", "numeracy", "complex", "all"]
    assert [judge["factor"] for judge in table["judges"]] == [
        "semantic",
        "spatial",
        "reasoning_image",
        "prompt_image",
        "total",
    ]
    assert table["rows"]["all"]["shapes_semantic"]["scored"] == 24


def test_a_second_run_is_the_same(whole: tuple[Path, str], tmp_path: Path):
    done = start_process(*SHAPES, "--out", "run", "--json", cwd=tmp_path)
    assert done.stdout == whole[1]
    assert content(tmp_path / "run") == content(whole[0])


def test_killed_and_started_again_it_ends_the_same(whole: tuple[Path, str], tmp_path: Path):
    run = tmp_path / "run"
    rng = random.Random(1)
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            [str(SCRIPT), *SHAPES, "--out", "run"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = size(run)
        while process.poll() is None and size(run) == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kills >= 2
    done = start(*SHAPES, "--out", "run", "--json", cwd=tmp_path)
    assert done.stdout == whole[1]
    assert content(run) == content(whole[0])
    lines = (run / "samples.jsonl").read_text().count("\n")
    assert lines <= 24 + 6 * kills


def size(run: Path) -> int:
    return sum((run / name).stat().st_size for name in ("samples.jsonl", "judgments.jsonl") if (run / name).exists())


def test_other_settings_need_another_folder(whole: tuple[Path, str]):
    done = start(*SHAPES, "--out", whole[0], "--seed", "1", cwd=whole[0])
    assert done.returncode == 2
    assert "seed was 0, now 1" in done.stderr


def test_any_prompt_can_be_painted(tmp_path: Path):
    """A list of hostile prompts in the benchmark's own format: nothing crashes, nothing leaves the run folder."""
    prompts = [" ".join(prompt[:2000].split()) or "." for prompt in HOSTILE_PROMPTS]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "spatial_val.txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    command = ["compbench", "--ckpt", "tiny-janus", "--data", "lists", "--categories", "spatial"]
    # One at a time: beside a prompt of 2,000 characters every other row would be padded to its length.
    options = ["--images-per-prompt", "1", "--chain-cap", "20", "--tile", "1"]
    done = start(*command, *options, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    samples = list(read_samples(tmp_path / "run").values())
    assert [sample.prompt for sample in samples] == prompts
    assert all(s.image is not None and s.image.is_relative_to(tmp_path / "run" / "images") for s in samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lists", "run"]


@pytest.mark.skipif(not (SHARED / "data/t2i_compbench").is_dir(), reason="no T2I-CompBench prompts (set GOTR1_SHARED)")
def test_real_prompts_take_the_same_path(tmp_path: Path):
    command = ["compbench", "--suite", "t2i-compbench", "--data", SHARED / "data/t2i_compbench", "--ckpt", "tiny-janus"]
    options = ["--categories", "spatial", "--limit", "3", "--images-per-prompt", "1", "--chain-cap", "60"]
    done = start(*command, *options, "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["spatial"]["geometric"]["scored"] == 3
    assert "a giraffe next to a lamp" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.skipif(not (SHARED / "data/layouts").is_dir(), reason="no layouts (set GOTR1_SHARED)")
def test_real_chains_pictures_and_layouts_through_score(tmp_path: Path):
    manifests = [SHARED / "data/chains/published.jsonl", SHARED / "data/images/manifest.jsonl"]
    for index, path in enumerate(sorted((SHARED / "data/layouts").glob("compbench_2dspatial*.jsonl"))):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        chains = [write_chain([(r["obj1"], box(r["box1"])), (r["obj2"], box(r["box2"]))]) for r in rows]
        target = tmp_path / f"layouts_{index}.jsonl"
        append_rows(target, [{"prompt": r["prompt"], "chain": c} for r, c in zip(rows, chains, strict=True)])
        manifests.append(target)
    for index, manifest in enumerate(manifests):
        options = ["--judges", "geometric", "--out", f"run{index}", "--min-coverage", "0", "--json"]
        done = start("score", manifest, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"run{index}" / "report.html").is_file()
        if manifest.name.startswith("layouts"):
            assert json.loads(done.stdout)["rows"]["all"]["geometric"]["mean"] > 0.7


def box(corners: list[float]) -> Box:
    return Box.clipped(*(value / 512 for value in corners[:4]))


def test_the_demo_ends_with_a_page(tmp_path: Path):
    done = start("demo", "--limit", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "runs/demo/report.html" in done.stderr
    assert (tmp_path / "runs/demo/report.html").is_file()
