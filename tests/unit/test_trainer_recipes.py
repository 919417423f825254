"""The recipes of docs/trainers.md are files that run: made as they stand there, and called as the trainers call."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rewards.adapters import ms_swift, trl, verl
from tests.trainer_calls import Row, call_flow_grpo, call_ms_swift, call_trl, call_verl, call_verl_omni

PAGE = Path(__file__).parents[2] / "docs" / "trainers.md"
FILE = re.compile(r"^```(?:python|toml)\n# (\S+\.(?:py|toml))\n(.*?)^```", re.MULTILINE | re.DOTALL)
DRAWN = """
[judges.geneval]
use = "geneval"
detector = { use = "tests.plugins.fake_eyes", finds = [["dog", 0.1, 0.1, 0.9, 0.9, 0.9]] }
"""
"""The same set with a detector that needs no weights."""


def row(name: str) -> Row:
    task: Any = {"tag": "single_object", "include": [{"class": name, "count": 1}], "prompt": name}
    return Row(f"a photo of a {name}", facts={"geneval": task, "ground_truth": task})


ROWS = [row("dog"), row("cat")]


@pytest.fixture(params=["as it stands", "without weights"])
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The page's files in a folder on the path; ms-swift's table of rewards stands there empty."""
    for name, text in FILE.findall(PAGE.read_text("utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    if request.param == "without weights":
        (tmp_path / "my_rewards.toml").write_text(DRAWN, encoding="utf-8")
    swift, rewards = ModuleType("swift"), ModuleType("swift.rewards")
    rewards.orms = {}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swift", swift)
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield request.param
    for name in [name for name in sys.modules if name.endswith("_rewards") and "." not in name]:
        del sys.modules[name]


def made(module: str) -> Callable[..., Any]:
    """The reward of a recipe's file."""
    found = importlib.import_module(module)
    if module == "swift_rewards":
        return sys.modules["swift.rewards"].orms["gotr1"]
    if module == "flow_rewards":
        return found.gotr1_score()
    return found.total if module == "trl_rewards" else found.compute_score


CALLED: dict[str, Callable[..., list[float]]] = {
    "trl_rewards": call_trl, "verl_rewards": call_verl, "omni_rewards": call_verl_omni,
    "swift_rewards": call_ms_swift, "flow_rewards": call_flow_grpo,
}  # fmt: skip


@pytest.mark.parametrize("module", list(CALLED))
def test_a_recipe_makes_a_reward(module: str, recipes: str):
    reward = made(module)
    if recipes == "without weights":
        rows = ROWS
        if module == "flow_rewards":  # whose metadata are GenEval's own rows
            rows = [Row(one.prompt, facts=one.facts["geneval"]) for one in ROWS]  # type: ignore[arg-type]
        assert CALLED[module](reward, rows) == [1.0, 0.0]


def test_trls_script_is_one(recipes: str):
    files = dict(FILE.findall(PAGE.read_text("utf-8")))
    compile(files["train.py"], "train.py", "exec")
    assert [function.__name__ for function in importlib.import_module("trl_rewards").each] == ["geneval"]


@pytest.mark.parametrize(("module", "version"), [(trl, "1.16.0"), (verl, "0.9.1"), (ms_swift, "4.6.0")])
def test_page_adapter_and_makefile_name_one_version(module: ModuleType, version: str):
    package = {"trl": "trl", "verl": "verl", "ms_swift": "ms-swift"}[module.__name__.rpartition(".")[2]]
    assert f" {version}" in (module.__doc__ or "")
    assert f"| {version} | `{module.__name__}` |" in PAGE.read_text("utf-8")
    assert f"{package}=={version}" in (PAGE.parents[1] / "Makefile").read_text("utf-8")
