"""What docs/comparing.md shows can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import gotr1_eval
from gotr1_eval.cli.app import run as run_command
from gotr1_eval.core.errors import UsageError
from tests.made_runs import made_run, scattered

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "comparing.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^gotr1-eval (.+)$", TEXT, re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    factors = ("semantic", "spatial", "reasoning_image", "prompt_image")
    for name in "ab":
        judges = {factor: scattered(0.5, 0.3, place + ord(name)) for place, factor in enumerate(factors)}
        made_run(folder / "runs" / name, judges, rule="paper_without_hps")
    (folder / "means.csv").write_text("model,category,score\nother,color,0.1\n")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    if "--published" in command:
        with pytest.raises(UsageError, match="it has no official metric"):
            run_command(shlex.split(command))
        return
    assert run_command(shlex.split(command)) == 0
    for name in re.findall(r"--export (\S+)", command):
        assert (folder / name).stat().st_size > 500


def test_the_notebook_runs(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    names: dict[str, object] = {}
    exec(compile(code, "comparing.md", "exec"), names)
    assert isinstance(names["run"], type(gotr1_eval.load_run(folder / "runs" / "a")))


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (DOCS / target).exists(), target
