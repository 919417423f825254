"""A judge behind a server that fails midway: nothing is lost, nothing is scored 0, a resume asks what failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.files.jsonl import append_rows
from tests.command_line import start, start_process
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


def test_one_of_three_servers_may_be_gone(tmp_path: Path):
    with faulty_server() as gone:
        pass
    with faulty_server() as one, faulty_server() as two:
        command = prepared(tmp_path, one)
        two.text = one.text
        (tmp_path / "judge.toml").write_text(
            f'base_url = {json.dumps([gone.url, one.url, two.url])}\nmodel = "judge"\nfirst_wait_s = 0.05\n'
        )
        done = start_process(*command, "--judge-model", "judge.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cell = json.loads(done.stdout)["rows"]["all"]["prompt_image[judge]"]
    assert (cell["mean"], cell["scored"], cell["unscored"]) == (pytest.approx(0.7), 6, 0)
    assert f"server {gone.url} is left out: no answer" in done.stderr
    assert "judge: servers 2/3, 0 under way, 0 queued" in done.stderr
    assert min(sum(server.asked.values()) for server in (one, two)) >= 2


def test_a_spent_budget_stops_the_run_and_the_next_one_goes_on(tmp_path: Path):
    with faulty_server() as server:
        command = prepared(tmp_path, server)
        server.tokens = (90, 10)
        (tmp_path / "set.toml").write_text(SET.format(url=server.url) + "budget_tokens = 400\nworkers = 1\n")
        codes, kept = [], []
        for _ in range(4):
            done = start(*command, cwd=tmp_path)
            codes.append(done.returncode)
            kept.append(sum("value" in row for row in rows(tmp_path / "run/judgments.jsonl")))
            if done.returncode != 3:
                break
            assert done.stderr.splitlines()[-1].startswith("gotr1-eval: the judge model's budget is spent (400 of 400")
        assert codes == [3, 0], "the check and three pictures, then the check and the other three"
        assert kept == [3, 6]
        cell = json.loads(done.stdout)["rows"]["all"]["prompt_image[judge]"]
        assert (cell["scored"], cell["unscored"]) == (6, 0)
    assert sum(server.asked.values()) == 8, "two checks; no picture was paid for twice"


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
