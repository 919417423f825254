"""A judge behind a server that fails midway: nothing is lost, nothing is scored 0, a resume asks what failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.core.jsonl import append_rows
from tests.e2e.test_command_line import start
from tests.faulty_server import FaultyServer, faulty_server

pytestmark = pytest.mark.slow

SET = """
[judges]
prompt_image = "prompt_image"

[judge_model]
use = "openai_compatible"
base_url = "{url}"
model = "judge"
retries = 1
first_wait_s = 0.05
"""


def prepared(folder: Path, server: FaultyServer) -> list[str]:
    """Six pictures, a reward set that asks the server, and the command."""
    Image.new("RGB", (16, 16), "red").save(folder / "x.png")
    append_rows(folder / "list.jsonl", [{"prompt": f"picture {index}", "image": "x.png"} for index in range(6)])
    (folder / "set.toml").write_text(SET.format(url=server.url))
    server.text = lambda question: json.dumps({"description": "", "caption": "", "reasoning": "", "score": 7})
    return ["score", "list.jsonl", "--judges", "set.toml", "--out", "run", "--json", "--tile", "2"]


def test_a_failing_server_costs_coverage_and_a_resume_mends_it(tmp_path: Path):
    with faulty_server() as server:
        command = prepared(tmp_path, server)
        server.fault = lambda question: "500" if "picture 3" in question else ""  # type: ignore[method-assign]
        first = start(*command, cwd=tmp_path)
        assert first.returncode == 1
        cell = json.loads(first.stdout)["rows"]["all"]["prompt_image[judge]"]
        assert (cell["mean"], cell["scored"], cell["unscored"]) == (pytest.approx(0.7), 5, 1)
        assert "prompt_image[judge]: backend: " in first.stderr
        asked = sum(server.asked.values())
        server.fault = lambda question: ""  # type: ignore[method-assign]
        second = start(*command, cwd=tmp_path)
        assert second.returncode == 0, second.stderr
        cell = json.loads(second.stdout)["rows"]["all"]["prompt_image[judge]"]
        assert (cell["mean"], cell["scored"], cell["unscored"]) == (pytest.approx(0.7), 6, 0)
        assert sum(server.asked.values()) <= asked + 2, "only what had failed, and the check of the connection"


def test_replies_on_disk_are_not_asked_again(tmp_path: Path):
    with faulty_server() as server:
        command = prepared(tmp_path, server)
        options = ["--judge-model", f"{server.url}#judge", "--reply-cache", "replies.db"]
        (tmp_path / "set.toml").write_text('[judges]\nprompt_image = "prompt_image"\n')
        assert start(*command, *options, cwd=tmp_path).returncode == 0
        asked = sum(server.asked.values())
        again = start(*[part if part != "run" else "other" for part in command], *options, cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["rows"]["all"]["prompt_image[judge]"]["mean"] == pytest.approx(0.7)
        assert sum(server.asked.values()) == asked


def test_a_missing_model_stops_at_once_with_one_line(tmp_path: Path):
    with faulty_server() as server:
        command = prepared(tmp_path, server)
        server.fault = lambda question: "404"  # type: ignore[method-assign]
        done = start(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "404" in done.stderr
