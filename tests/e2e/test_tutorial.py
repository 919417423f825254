"""docs/tutorial.md: its commands run in their order, as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gotr1_eval.cli.app import run

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall(r"^gotr1-eval (.+)$", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.MULTILINE)

pytestmark = pytest.mark.slow


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        assert run(shlex.split(command)) == 0, command
    assert "within noise" in capsys.readouterr().out
    for page in ("before/report.html", "grpo-tutorial/report.html", "after/report.html", "comparison.html"):
        assert "<!doctype html>" in (tmp_path / "runs" / page).read_text(encoding="utf-8")[:40].lower(), page
