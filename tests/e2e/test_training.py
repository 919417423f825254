"""Training from the command line, on the embedded world."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.command_line import SCRIPT, start

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[2] / "configs/shapes.toml"
SMALL = ["steps=3", "prompts_per_step=2", "samples_per_prompt=4", "sampling.chain_cap=40", "evaluation.every=3"]
SMALL += ["evaluation.prompts_per_category=1", "save_every=1"]


def command(out: Path, *changes: str) -> list[str]:
    options = [option for change in [*SMALL, *changes] for option in ("--set", change)]
    return [str(SCRIPT), "train", "grpo", "--config", str(CONFIG), "--out", str(out), *options]


def rows(out: Path) -> list[dict[str, float]]:
    read = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if not name.startswith(("seconds/", "speed/"))} for row in read]


def test_a_stop_signal_saves_and_the_same_command_goes_on(tmp_path: Path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = subprocess.run(command(tmp_path / "whole"), capture_output=True, text=True, check=True, env=environment)
    assert "3 of 3 steps done" in whole.stderr
    with subprocess.Popen(command(tmp_path / "cut"), stderr=subprocess.PIPE, text=True, env=environment) as broken:
        while not (tmp_path / "cut/metrics.jsonl").exists():
            time.sleep(0.05)
        broken.send_signal(signal.SIGTERM)
        assert "of 3 steps done" in broken.communicate(timeout=120)[1]
        assert broken.returncode == 4, "stopped before its last step"
    assert len(rows(tmp_path / "cut")) < 3
    subprocess.run(command(tmp_path / "cut"), capture_output=True, check=True, env=environment)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    held_out = [json.loads(line) for line in (tmp_path / "cut/evaluations.jsonl").read_text().splitlines()]
    assert [row["step"] for row in held_out] == [0, 3]
    assert (tmp_path / "cut/evaluations/step-000003/report.html").exists()

    other = start(*command(tmp_path / "cut", "seed=1")[1:], cwd=tmp_path)
    assert other.returncode == 2
    assert "holds a run with seed = 0, now 1" in other.stderr
    checkpoint = tmp_path / "cut/checkpoints/step-000003"
    options = ["--suite", "shapes", "--limit", "1", "--categories", "color", "--out", str(tmp_path / "run")]
    generated = start("compbench", "--ckpt", checkpoint, *options, cwd=tmp_path)
    assert generated.returncode == 0
    assert "report:" in generated.stderr
