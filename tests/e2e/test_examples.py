"""The scripts of examples/ run as they stand, without any download, and say what they promise."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a script in an empty folder and gives back what it printed."""

    def run(name: str, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_example_is_tested():
    text = Path(__file__).read_text(encoding="utf-8")
    for script in EXAMPLES.glob("*.py"):
        assert f'run_example("{script.name}"' in text, script.name


def test_score_images(run_example):
    right, wrong = (float(value) for value in re.findall(r"\.png\s+([\d.]+)", run_example("score_images.py")))
    assert right > 0.9
    assert wrong < 0.5


def test_write_a_judge(run_example):
    assert run_example("write_a_judge.py").splitlines() == ["grey: 0.502", "none: the sample has no picture"]


def test_reward_in_trl(run_example):
    pytest.importorskip("trl", reason="TRL is a test dependency")
    assert run_example("reward_in_trl.py").splitlines()[-1].startswith("2 steps; rewards: [")


def test_compare_two_checkpoints(run_example, tmp_path: Path):
    printed = run_example("compare_two_checkpoints.py")
    assert re.search(r"^color: (within noise|better|worse)", printed, re.M)
    page = (tmp_path / "runs" / "comparison.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page


def test_human_study(run_example):
    found = re.search(r"shapes_prompt_image: Spearman ([\d.]+) \[", run_example("human_study.py"))
    assert found is not None
    assert float(found[1]) > 0.6
