"""A dry run and the doctor name everything that is missing at once, and commands that can be copied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.obstacles import obstacles
from gotr1_eval.runs.request import RunRequest


def request(**settings: object) -> RunRequest:
    return RunRequest.model_validate({"suite": "shapes", **settings})


def test_everything_is_named_at_once(tmp_path: Path):
    lines = obstacles(
        request(
            suite="t2i_compbench",
            data=tmp_path / "prompts",
            ckpt=str(tmp_path / "checkpoint"),
            detector={"use": "unidet", "weights": str(tmp_path / "unidet.pth")},
            depth={"use": "no_such_depth"},
        ),
        Builder(),
    )
    told = "\n".join(lines)
    for missing in ("prompts", "checkpoint", "unidet.pth", "no_such_depth"):
        assert sum(missing in line for line in lines) == 1, f"{missing} in\n{told}"
    assert len(lines) == 4


def test_what_is_sound_has_no_obstacle(tmp_path: Path):
    assert obstacles(request(ckpt="tiny-janus"), Builder()) == []
    (line,) = obstacles(request(images=tmp_path / "no"), Builder())
    assert "no: no such folder or file" in line
    (line,) = obstacles(request(), Builder())
    assert "give either --generator or --ckpt" in line


def test_a_dry_run_ends_with_the_list(tmp_path: Path):
    command = [
        "bench",
        "shapes",
        "--ckpt",
        str(tmp_path / "a"),
        "--judges",
        "reasoning_image,no_such_judge",
        "--dry-run",
    ]
    with pytest.raises(UsageError) as raised:
        run(command)
    first, *listed = str(raised.value).splitlines()
    assert first == f"{len(listed)} things stand against this run:"
    assert [line.split(".")[0].strip() for line in listed] == [str(place + 1) for place in range(len(listed))]
    assert any("no_such_judge" in line for line in listed)
    assert not (tmp_path / "runs").exists()


def test_other_commands_foresee_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    boxes = "a cat (0,0),(500,500) and a dog (600,0),(1000,500)"
    (tmp_path / "list.jsonl").write_text(json.dumps({"prompt": "a cat on the left of a dog", "chain": boxes}) + "\n")
    assert run(["score", str(tmp_path / "list.jsonl"), "--judges", "geometric", "--dry-run"]) == 0
    assert "judgments             1" in capsys.readouterr().out
    assert run(["generate", "--suite", "shapes", "--ckpt", "tiny-janus", "--limit", "1", "--dry-run"]) == 0
    assert "images                12" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_what_the_doctor_tells_to_type_is_on_one_line(tmp_path: Path):
    environment = {**os.environ, "COLUMNS": "80", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "gotr1_eval", "doctor"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    _, _, commands = said.partition("to bring what is missing\n")
    lines = commands.splitlines()
    assert "  gotr1-eval weights mask2former --download" in lines
    assert "  gotr1-eval data fetch geneval" in lines
    assert all(line.startswith(("  gotr1-eval ", "  pip install ")) for line in lines)
    assert any(len(line) > 80 for line in lines), "a long command is not wrapped"
    assert len(set(lines)) == len(lines)


def test_quiet_leaves_the_results_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Nothing on stderr, whichever command; what was asked for is on stdout, and the next command speaks again."""
    monkeypatch.chdir(tmp_path)
    boxes = "a cat (0,0),(500,500) and a dog (600,0),(1000,500)"
    (tmp_path / "list.jsonl").write_text(json.dumps({"prompt": "a cat on the left of a dog", "chain": boxes}) + "\n")
    scored = ["score", "list.jsonl", "--judges", "geometric", "--out", "run"]
    for command, told in (
        ([*scored, "--quiet"], "all"),
        (["retest", "run", "--judges", "geometric", "--quiet"], ""),
        (["audit", "--judge", "geometric", "--size", "small", "--quiet"], "spatial"),
    ):
        assert run(command) == 0
        found = capsys.readouterr()
        assert found.err == "", command
        assert told in found.out
    assert run(scored) == 0
    assert "report: " in capsys.readouterr().err
