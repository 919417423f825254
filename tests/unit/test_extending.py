"""The examples of docs/extending.md, put into a package of one's own and run as the page says."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval import run_benchmark
from gotr1_eval.cli.app import run

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
EXAMPLE = re.compile(r"^```(?:python|toml)\n# (my_package/\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples as files of a package that can be imported."""
    for name, text in EXAMPLE.findall(PAGE.read_text("utf-8")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "my_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def test_a_judge_and_a_generator_of_ones_own(package: Path):
    frames = run_benchmark(
        suite="shapes",
        generator="my_package.crayons,side=8",
        judges="my_package.brightness",
        limit=2,
        out=package / "run",
    )
    assert set(frames.judgments.judge) == {"brightness"}
    assert frames.judgments.value.between(0, 1).all()
    assert set(frames.samples.generator) == {"crayons-8"}


def test_a_generator_is_foreseen_without_being_built(package: Path, capsys: pytest.CaptureFixture[str]):
    generator = ["--generator", "my_package.crayons"]
    assert run(["bench", "shapes", *generator, "--judges", "my_package.brightness", "--limit", "2", "--dry-run"]) == 0
    assert "image tokens          0" in capsys.readouterr().out
    assert run(["generate", "--suite", "shapes", *generator, "--limit", "1", "--out", str(package / "made")]) == 0
    assert len(list((package / "made" / "images").rglob("*.png"))) == 12


def test_a_reward_set_and_an_adapter_of_ones_own(package: Path):
    make_reward = importlib.import_module("my_package.reward_function").make_reward
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    light, dark = make_reward("my_package/bright.toml")(["a red circle"] * 2, pictures)
    assert light is not None
    assert dark is not None
    assert light > dark >= 0
