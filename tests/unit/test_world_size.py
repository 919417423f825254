"""Checkpoints at another world size: two processes go on where one stopped and the other way, copied or sharded.

Samples and rewards are the same bit for bit: seeds belong to prompts, and a tile of samples has as many rows on one
process as on two. Gradients are not: each process cuts its micro-batches from its own sequences, so that the same
numbers are summed in another order. The weights are therefore held to one part in 10^4 of how far they have moved.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gotr1_eval.core.errors import UsageError
from tests.grpo_runs import first_steps, go_on, launcher, trainer
from tests.tiny_models import loaded_random
from training import sharding
from training.policies import Sampling
from training.policies.janus import JanusPolicy

LORA = {"rank": 4, "alpha": 4}
TOLERANCE = 1e-4


def weights(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "checkpoints/step-000002/trainer.pt"
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["weights"]
    return found


def rewards(folder: Path) -> list[dict[str, float]]:
    """What does not depend on the last bits of gradients."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if name.startswith(("reward/", "groups/", "chain/"))} for row in rows]


def launch(out: Path, **environment: str) -> None:
    command = [*launcher(), "-m", "tests.grpo_runs", str(out), "world-sizes"]
    known = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=known)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "environment"),
    [
        ({}, {}),
        ({"one_step_off": True, "overlap": True}, {}),
        ({}, {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}),
        ({"lora": LORA, "updates": 2}, {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}),
    ],
    ids=["DDP", "DDP, one step off", "FSDP2", "FSDP2 with adapters"],
)
def test_a_run_goes_on_at_another_world_size(tmp_path: Path, changes, environment):
    trainer(tmp_path / "unbroken", steps=2, **changes).train()
    first_steps(tmp_path / "one-then-two", 1, steps=2, **changes)
    launch(tmp_path, CHANGES=json.dumps(changes), **environment)
    assert sorted(path.name for path in (tmp_path / "two-then-one/checkpoints").iterdir())[-1] == "step-000001"
    go_on(tmp_path / "two-then-one", steps=2, **changes)
    start = dict(trainer(tmp_path / "start", **changes).learner.policy.named_parameters())
    one = weights(tmp_path / "unbroken")
    for name in ("one-then-two", "two-then-one"):
        assert rewards(tmp_path / name) == rewards(tmp_path / "unbroken")
        other = weights(tmp_path / name)
        moved = sum((one[each] - start[each]).square().sum() for each in one).sqrt()
        apart = sum((one[each] - other[each]).square().sum() for each in one).sqrt()
        assert apart <= TOLERANCE * moved
    if environment or changes:
        return
    # A budget that is spent on one process stops both, with the step before it saved.
    assert (tmp_path / "spent-0").exists()
    assert (tmp_path / "spent-1").exists()
    assert [path.name for path in (tmp_path / "spent/checkpoints").iterdir()] == ["step-000001"]


def test_what_cannot_run_on_several_processes_says_so(monkeypatch):
    policy = JanusPolicy(loaded_random(), Sampling(guidance=1.0))
    other = SimpleNamespace(num_processes=2, distributed_type=SimpleNamespace(value="DEEPSPEED"))
    with pytest.raises(UsageError, match="configured for DEEPSPEED"):
        sharding.shard_policy(policy, other)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(UsageError, match="fsdp_version: 2"):
        sharding.shard_policy(policy, other)


@pytest.mark.parametrize(("name", "sharded"), [("ddp", False), ("fsdp2", True)])
def test_the_shipped_configurations_ask_for_what_they_say(name, sharded, monkeypatch):
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    path = Path(__file__).parents[2] / f"configs/accelerate_{name}.yaml"
    given = ["--config_file", str(path), "--num_processes", "4", "-m", "gotr1_eval", "train", "grpo"]
    asked, _, _ = _validate_launch_command(launch_command_parser().parse_args(given))
    assert (asked.num_processes, asked.training_script) == (4, "gotr1_eval")
    environment = prepare_multi_gpu_env(asked)
    for key in ("ACCELERATE_USE_FSDP", "FSDP_VERSION"):
        monkeypatch.setenv(key, environment.get(key, ""))
    assert sharding.sharding_asked() is sharded
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"
