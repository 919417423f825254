"""ms-swift's own loader and caller of reward functions on ours: ``python -m tests.trainers.run_ms_swift``.

It needs msgspec beside ms-swift, which does not ask for it. The file that ``--external_plugins`` would name is loaded
as ms-swift loads it, its trainer makes the rewards, and they are called and their answers weighed as in a training.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from gotr1_eval.core.errors import UsageError

PLUGIN = """
from swift.rewards import orms

from gotr1_eval import Builder
from rewards.adapters.ms_swift import make_orm
from rewards.reward_set import RewardSet

eyes = {"use": "tests.plugins.fake_eyes", "finds": [["dog", 0.1, 0.1, 0.9, 0.9, 0.9]]}
geneval = RewardSet({"geneval": Builder().judge({"use": "geneval", "detector": eyes})})
orms["gotr1_geneval"] = make_orm(geneval, unscored=-1.0, picture="rollout_infos.picture", name="gotr1_geneval")
orms["gotr1_geometric"] = make_orm(Builder().reward_set("geometric"), unscored=0.0, asynchronous=True, name="geometric")
orms["gotr1_left_out"] = make_orm(Builder().reward_set("geometric"), unscored="omit", name="left_out")
"""
CHAIN = "A cat (0,400),(200,600) and a dog (800,400),(1000,600)."
NAMES = ["gotr1_geneval", "gotr1_geometric"]


def rewards_of(names: list[str], **args: Any) -> Any:
    """The rewards as the trainer makes them, with their names and weights."""
    from swift.rlhf_trainers.grpo_trainer import GRPOTrainer

    settings = SimpleNamespace(reward_weights=None, **args)
    trainer = SimpleNamespace(args=settings, accelerator=SimpleNamespace(device="cpu"), use_gym_env=False)
    GRPOTrainer._prepare_rewards(trainer, list(names))
    return trainer


def samples() -> list[Any]:
    """What a group looks like after the rollout: right, wrong for GenEval, and of a prompt without facts."""
    from swift.rl_core.data import GRPOSample

    asked = [
        ("a cat on the left of a dog", "dog"),
        ("a cat on the left of a dog", "cat"),
        ("a cat on the left of a dog", None),
        ("a dog on the left of a cat", "dog"),
    ]
    made = []
    for at, (prompt, name) in enumerate(asked):
        facts = {"tag": "single_object", "include": [{"class": name, "count": 1}], "prompt": name} if name else None
        sample = GRPOSample.from_row(
            {
                "messages": [{"role": "user", "content": prompt}],
                "geneval": facts,
                "prompt_id": "p",
                "request_id": str(at),
            }
        )
        sample.messages.append({"role": "assistant", "content": CHAIN})
        sample.rollout_infos = {"picture": Image.new("RGB", (32, 32), "white")}
        made.append(sample)
    return made


def main() -> None:
    import swift
    import torch
    from swift.rl_core.advantage import compute_advantages
    from swift.rl_core.grpo_algorithm import compute_rewards_per_func
    from swift.utils.utils import import_external_file

    print(f"ms-swift {swift.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder, "gotr1_plugin.py")
        plugin.write_text(PLUGIN, encoding="utf-8")
        import_external_file(str(plugin))
    trainer = rewards_of(NAMES, scale_rewards="group")
    values = compute_rewards_per_func(samples(), trainer.reward_funcs, [None, None], torch.device("cpu"))
    advantages, totals = compute_advantages(values, trainer.reward_weights, num_generations=4)
    print(f"  {trainer.reward_func_names}: {values.tolist()}")
    print(f"  rewards {totals.tolist()}, advantages {[round(value, 3) for value in advantages.tolist()]}")
    assert values.tolist() == [[1.0, 1.0], [0.0, 1.0], [-1.0, 1.0], [1.0, 0.0]]
    assert trainer.reward_func_names == ["gotr1_geneval", "geometric"]
    refused = ""
    try:
        rewards_of(["gotr1_left_out"], scale_rewards="group")
    except UsageError as error:
        refused = str(error)
    print(f"  refused: {refused}")
    assert "needs --scale_rewards gdpo" in refused
    rewards_of(["gotr1_left_out"], scale_rewards="gdpo")


if __name__ == "__main__":
    main()
