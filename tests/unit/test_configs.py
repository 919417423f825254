"""Every shipped configuration is one that its command can read, and names rewards that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.cli.train import with_changes
from gotr1_eval.core.errors import UsageError
from gotr1_eval.settings import read_settings, read_toml
from rewards.reward_set import read_reward_set
from training.settings import GrpoSettings, SftSettings

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.toml"))
ABLATIONS = sorted(Path(__file__).parents[2].glob("configs/ablations/*.toml"))


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_the_ablations_rewards_can_be_asked(path):
    asked = Builder().reward_set(str(path))
    assert asked.headline == "total"
    assert f"total[{path.stem}" in asked.makers[-1][0]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations(path):
    if path.stem.startswith("sft_"):
        read_settings(SftSettings, read_toml(path), where=path.name)
        return
    settings = read_settings(GrpoSettings, read_toml(path), where=path.name)
    assert read_reward_set(settings.rewards).total is not None


def test_changes_over_a_file():
    values = {"steps": 5, "sampling": {"guidance": 5.0}}
    changed = with_changes(values, ["steps=7", "sampling.guidance=2", "rewards=pr_only", "lora.rank=4"])
    assert changed == {"steps": 7, "sampling": {"guidance": 2}, "rewards": "pr_only", "lora": {"rank": 4}}


@pytest.mark.parametrize(("change", "words"), [("steps", "expected key=value"), ("steps.x=1", "single value")])
def test_changes_that_make_no_sense(change, words):
    with pytest.raises(UsageError, match=words):
        with_changes({"steps": 5}, [change])
