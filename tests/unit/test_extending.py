"""The examples of docs/extending.md, put into a package of one's own and run as the page says."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

import benchmarks
from gotr1_eval import run_benchmark
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.plugins import GENERATORS
from gotr1_eval.core.protocols import ABILITIES

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
EXAMPLE = re.compile(r"^```(?:python|toml|csv)\n# (my_package/\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


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
    for name in [
        name for name in sys.modules if name.partition(".")[0] == "my_package" or name.startswith("benchmarks.lamps")
    ]:
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


def test_what_generators_can_do_is_listed_in_known_words(capsys: pytest.CaptureFixture[str]):
    assert run(["list", "generators", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["generators-can"]) == set(told["generators"])
    assert told["generators-can"]["janus"] == list(ABILITIES)
    for name, stated in GENERATORS.stated("CAN").items():
        assert stated, f"{name} does not say what it can do"
        assert set(stated) <= set(ABILITIES)
    assert run(["list", "generators"]) == 0
    assert "writes chains, gives log-probabilities, trains, batches, takes seeds" in capsys.readouterr().out


def test_a_generator_is_foreseen_without_being_built(package: Path, capsys: pytest.CaptureFixture[str]):
    generator = ["--generator", "my_package.crayons"]
    assert run(["bench", "shapes", *generator, "--judges", "my_package.brightness", "--limit", "2", "--dry-run"]) == 0
    assert "image tokens          0" in capsys.readouterr().out
    assert run(["generate", "--suite", "shapes", *generator, "--limit", "1", "--out", str(package / "made")]) == 0
    assert len(list((package / "made" / "images").rglob("*.png"))) == 12


PROMPTS = {"day": "a white lamp\na lamp in the sun\n", "night": "a black lamp\na lamp under the moon\n"}


def lamps_run(suite: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Foresee, run and report the benchmark of the page under one of its names."""
    (folder / "data").mkdir()
    for category, text in PROMPTS.items():
        (folder / "data" / f"{category}.txt").write_text(text)
    options = ["bench", suite, "--generator", "my_package.crayons", "--data", str(folder / "data")]
    assert run([*options, "--dry-run"]) == 0
    assert re.search(r"images +4\b", capsys.readouterr().out)
    assert run([*options, "--out", str(folder / "run")]) == 0
    out = capsys.readouterr().out
    assert "published under Lamps" in out
    assert re.search(r"this run +0\.75 +0\.75 +0\.75", out)  # white, grey; black, grey: 1 and .5, twice
    assert re.search(r"Somebody-1B \[1\] +0\.61 +0\.73 +0\.67", out)
    assert run([*options, "--judges", "my_package.brightness", "--out", str(folder / "both")]) == 0


def test_a_benchmark_of_ones_own(package: Path, capsys: pytest.CaptureFixture[str]):
    lamps_run("my_package.lamps", package, capsys)
    made = ["--suite", "my_package.lamps", "--data", str(package / "data"), "--out", str(package / "made")]
    assert run(["generate", *made, "--layout", "my_package.lamps", "--generator", "my_package.crayons"]) == 0
    layout = package / "made" / "my_package.lamps"
    assert (layout / "day" / "samples" / "a white lamp_000000.png").is_file()
    assert run(["data", "list", "my_package.lamps", "--json"]) == 0
    assert '"files": 2' in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"run `gotr1-eval data fetch my_package\.lamps` once"):
        run(["bench", "my_package.lamps", "--generator", "my_package.crayons", "--dry-run"])


def test_a_benchmark_added_as_one_folder(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The same folder beside the shipped ones, its judge by its file's name: nothing else is edited."""
    folder = package / "more" / "lamps"
    shutil.copytree(package / "my_package" / "lamps", folder)
    source = (folder / "__init__.py").read_text().replace("my_package.lamps.judges.light", "light")
    (folder / "__init__.py").write_text(source.replace("my_package.lamps", "lamps"))
    (folder / "judges" / "__init__.py").touch()
    monkeypatch.setattr(benchmarks, "__path__", [*benchmarks.__path__, str(folder.parent)])
    monkeypatch.setattr(benchmarks.__spec__, "submodule_search_locations", benchmarks.__path__)
    for kind, name in (("suites", "lamps"), ("judges", "light")):
        assert run(["list", kind, "--json"]) == 0
        assert f'"{name}"' in capsys.readouterr().out
    assert run(["data", "list"]) == 0
    assert "0 of 2 files  MISSING  gotr1-eval data fetch lamps" in capsys.readouterr().out
    lamps_run("lamps", package, capsys)


def test_weights_of_a_benchmark_of_ones_own(package: Path, capsys: pytest.CaptureFixture[str]):
    (package / "my_package" / "lamps" / "weights.toml").write_text(
        """
        [[files]]
        key = "light-meter"
        names = ["meter.pth"]
        host = "https://somebody.example"
        by_hand = "ask somebody, and put it into {folder}"
        [made_for]
        light-meter = { lamps = "the light" }
        clip-b32 = { lamps = "the cosine" }
        """
    )
    assert run(["weights", "my_package.lamps", "--weights", str(package)]) == 0
    out = capsys.readouterr().out
    assert "light-meter: meter.pth\n  for    lamps: the light" in out
    assert f"MISSING  ask somebody, and put it into {package}" in out
    assert "clip-b32: " in out
    assert "unidet" not in out
    with pytest.raises(UsageError, match=r"weights: no benchmark 'my_package\.lanterns' is installed"):
        run(["weights", "my_package.lanterns"])


def test_a_reward_set_and_an_adapter_of_ones_own(package: Path):
    make_reward = importlib.import_module("my_package.reward_function").make_reward
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    light, dark = make_reward("my_package/bright.toml")(["a red circle"] * 2, pictures)
    assert light is not None
    assert dark is not None
    assert light > dark >= 0
