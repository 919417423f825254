"""A GRPO step's wait for judges: asked afterwards, while the policy samples, and with rollouts a step old.

    python -m tests.perf.judging_while_generating [--latency 1.5] [--steps 3]

The shipped tiny Janus generates 16 samples a step in tiles of 4, and learns from them; a local server takes `latency`
seconds an answer, any number at a time: one judge reads the chain, one looks at the picture. Mean seconds of a step
after the first; the rewards of the first two ways are compared bit for bit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gotr1_eval.build import Builder
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.janus.loading import load_checkpoint
from tests.faulty_server import FaultyServer, faulty_server
from tests.unit.test_early_judges import rewards, score, total
from training.grpo import GrpoTrainer
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix
from training.settings import GrpoSettings

WAYS = {
    "afterwards": {},
    "while sampling": {"judge_while_generating": True},
    "while sampling, rollouts a step old": {"judge_while_generating": True, "one_step_off": True},
}


def prepared(server: FaultyServer, steps: int, **way: bool) -> GrpoTrainer:
    settings = GrpoSettings.model_validate({
        "ckpt": "tiny-janus", "rewards": "semantic,prompt_image", "prompts": [{"shapes": []}], "prompts_per_step": 2,
        "samples_per_prompt": 8, "lora": "none", "beta": 0.0, "evaluation": "none", "device": "cpu", "steps": steps,
        "sampling": {"guidance": 2.0, "chain_cap": 120, "tile": 4}, **way,
    })  # fmt: skip
    checkpoint = load_checkpoint(checkpoint_folder("tiny-janus"), device=torch.device("cpu"), dtype=torch.float32)
    served = total(rewards(server), "semantic", "prompt_image")
    policy = JanusPolicy(checkpoint, settings.policy_sampling)
    mix = PromptMix(settings.prompts, settings.seed, Builder().suite)
    return GrpoTrainer(settings, Path(TemporaryDirectory().name), policy, served, mix)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=1.5)
    parser.add_argument("--steps", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seconds, found = {}, {}
    with faulty_server() as server:
        for name, way in WAYS.items():
            # One step more than is measured on either side: the last one of a run samples nothing ahead.
            trainer = prepared(server, asked.steps + 2, **way)
            server.text = lambda question: (time.sleep(asked.latency), score(question))[1]
            trainer.step(0)
            start = time.perf_counter()
            told = [trainer.step(step) for step in range(1, asked.steps + 1)]
            seconds[name] = (time.perf_counter() - start) / asked.steps
            found[name] = [(row["reward/total/mean"], row["grad_norm"]) for row in told]
    print("| judging | a step, s | ratio |\n|---|---|---|")
    for name in WAYS:
        print(f"| {name} | {seconds[name]:.2f} | {seconds['afterwards'] / seconds[name]:.2f} |")
    print(f"\nthe first two learn the same: {found['afterwards'] == found['while sampling']}")


if __name__ == "__main__":
    main()
