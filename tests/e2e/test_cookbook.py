"""docs/cookbook.md: its blocks run in their order, as they stand, in a folder of their own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gotr1_eval.cli.app import run

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```(\w*) ?([\w.]*)\n(.*?)^```$", (ROOT / "docs" / "cookbook.md").read_text("utf-8"), re.MULTILINE | re.S
)

pytestmark = pytest.mark.slow


def test_every_recipe_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Files are written under the name beside the fence or in their first line, Python is run, commands end with 0."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    commands = 0
    for language, file, text in BLOCKS:
        named = re.match(r"# ([\w/]+\.\w+)\n", text)
        if name := file or (named[1] if named else ""):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        elif language == "python":
            exec(compile(text, "cookbook", "exec"), {})
        else:
            for line in text.splitlines():
                commands += 1
                assert run(shlex.split(line.removeprefix("gotr1-eval "))) == 0, line
    assert commands == 13
    printed = capsys.readouterr().out
    assert "['right.png']" in printed
    assert "[1.0]" in printed
    assert "brightness" in printed
    pages = ("runs/pictures/report.html", "runs/audit/audit.html", "site/index.html", "board.md", "two.zip")
    assert all((tmp_path / page).stat().st_size for page in pages)
