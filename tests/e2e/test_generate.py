"""Generation from the command line: shards, official layouts, restarts, and the judging that follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import start

pytestmark = pytest.mark.slow

COMMON = ["--ckpt", "tiny-janus", "--suite", "shapes", "--limit", "2", "--categories", "color,spatial"]
COMMON += ["--guidance", "2", "--chain-cap", "60", "--tile", "2"]


def test_shards_merge_into_the_run_in_one_piece_and_are_judged(tmp_path: Path):
    assert start("generate", *COMMON, "--out", "whole", cwd=tmp_path).returncode == 0
    for shard in ("2/2", "1/2"):
        assert start("generate", *COMMON, "--out", "cut", "--shard", shard, cwd=tmp_path).returncode == 0
    merged = start("merge", "cut", cwd=tmp_path)
    assert "8 samples in cut" in merged.stderr
    tables = []
    for out in ("whole", "cut"):
        done = start("compbench", *COMMON, "--out", out, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "generate: 8 of 8 were there already" in done.stderr
        tables.append(json.loads(done.stdout))
    assert tables[0] == tables[1]


def test_the_official_layouts_are_written_and_read_back(tmp_path: Path):
    (tmp_path / "prompts.txt").write_text("a red circle\na blue square and a green cross\n")
    options = ["--ckpt", "tiny-janus", "--suite", "prompts.txt", "--images-per-prompt", "2", "--guidance", "2"]
    done = start("generate", *options, "--chain-cap", "60", "--layout", "t2i-compbench", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pictures = sorted(path.name for path in (tmp_path / "run/t2i-compbench").rglob("*.png"))
    assert pictures == [
        "a blue square and a green cross_000002.png", "a blue square and a green cross_000003.png",
        "a red circle_000000.png", "a red circle_000001.png",
    ]  # fmt: skip
    judged = ["--judges", "shapes_prompt_image", "--images-per-prompt", "2", "--json", "--out", "judged"]
    images = str(tmp_path / "run/t2i-compbench")
    done = start("compbench", "--suite", "prompts.txt", "--images", images, *judged, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["prompts"]["shapes_prompt_image"]["scored"] == 4
    refused = start("generate", *options, "--layout", "geneval", "--out", "other", cwd=tmp_path)
    assert refused.returncode == 2
    assert "only GenEval's prompts do" in refused.stderr


def test_one_line_for_what_is_wrong(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "multi_modality"}')
    for arguments, words in (
        (["generate", *COMMON, "--shard", "3/2"], "--shard 3/2: expected"),
        (["generate", *COMMON, "--layout", "genevall"], "did you mean 'geneval'"),
        (["merge", "nowhere"], "no shards beside nowhere"),
        (["convert", str(tmp_path), "out"], "no tokenizer.json"),
        (["generate", "--ckpt", str(tmp_path), *COMMON[2:]], "no tokenizer.json"),
    ):
        done = start(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1, done.stderr
        assert words in done.stderr, done.stderr
