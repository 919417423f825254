"""`gotr1-eval serve` as a trainer meets it: several processes, the client, a token, a worker that dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rewards.adapters.reward_client import RewardClient
from tests.command_line import start_process
from tests.unit.test_reward_server import CHAIN

pytestmark = pytest.mark.slow
PROMPTS = ["a cat on the left of a dog", "a cat on the right of a dog", "a red bench"]


def children(process: int) -> list[int]:
    """The processes that it began, helpers of Python's own left out."""
    began = [int(one) for path in Path(f"/proc/{process}/task").glob("*/children") for one in path.read_text().split()]
    return [one for one in began if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "gotr1_eval", "serve", "--judges", "geometric", "--port", "0", "--workers", "2"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "GOTR1_EVAL_TOKEN": "secret"}
    with subprocess.Popen(
        [*command, "--unscored", "omit"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            address = re.search(r"http://[\d.:]+", said)
            assert address, said
            assert process.stdout.readline().endswith("unscored: omit\n")
            yield process, address[0]
        finally:
            process.kill()


def asked(address: str, **settings: Any) -> RewardClient:
    return RewardClient(address, **{"sends": ("chain", "picture"), "token": "secret", **settings})


def test_the_client_gets_rewards_and_none_for_the_unscored(server: tuple[subprocess.Popen[str], str]):
    client = asked(server[1])
    pictures = [Image.new("RGB", (8, 8)), None, None]
    rewards = client.score(PROMPTS, pictures, [CHAIN] * 3, [{"known": 1}, None, {}])
    assert rewards == [{"geometric": 1.0}, {"geometric": 0.0}, {"geometric": None}]
    with pytest.raises(RuntimeError, match=r"sample 0 is unscored: .*over the limit"):
        client.score(["x" * 9_000])


def test_the_client_of_the_docs_gets_what_they_say(server: tuple[subprocess.Popen[str], str]):
    page = (Path(__file__).parents[2] / "docs" / "reward_server.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    told = code.rpartition("# ")[2].strip()
    names: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:8780", server[1]).replace("sends=", "token='secret', sends="), names)
    assert repr(names["rewards"]) == told


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sends": ("picture",)}, "the reward 'geometric' needs chain of every sample"),
        ({"rewards": ["total"]}, "no reward named total"),
        ({"scorer_version": "0123456789abcdef"}, r"409: .*scorer_version '0123456789abcdef' is asked for"),
        ({"token": "wrong"}, "401"),
        ({"token": None}, "401"),
    ],
)
def test_the_client_refuses_at_once_what_cannot_be(
    server: tuple[subprocess.Popen[str], str], settings: dict[str, Any], words: str
):
    with pytest.raises(ValueError, match=words):
        asked(server[1], **settings)


def test_a_worker_that_dies_is_begun_anew_and_all_end_together(server: tuple[subprocess.Popen[str], str]):
    process, address = server
    before = children(process.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    assert asked(address).score(PROMPTS[:1], chains=[CHAIN]) == [{"geometric": 1.0}]
    assert process.stdout is not None
    assert process.stdout.readline() == "worker 0 ended with -9 and is begun anew\n"
    until = time.monotonic() + 30
    while len(now := children(process.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(set(now) - set(before)) == 1
    process.terminate()
    assert process.wait(30) == 0
    assert not [worker for worker in now if Path(f"/proc/{worker}").exists()]
    with pytest.raises(OSError, match="refused"):
        asked(address)


def test_workers_that_cannot_begin_say_why_once(tmp_path: Path):
    done = start_process("serve", "--judges", "nonesuch", "--workers", "2", "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("nonesuch") == 1, done.stderr
    assert "begun anew" not in done.stderr
