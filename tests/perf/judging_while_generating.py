"""A GRPO step's wait for judges, with and without judging while the policy samples.

    python -m tests.perf.judging_while_generating [--latency 1.5] [--rounds 2]

The shipped tiny Janus generates 16 samples in tiles of 4; a local server takes `latency` seconds an answer, any number
at a time: one judge reads the chain, one looks at the picture. Seconds of rollout and judging together, the fastest
round of each; the rewards are compared bit for bit.
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
from training.metrics import Clock
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix
from training.settings import GrpoSettings


def prepared(server: FaultyServer, *, early: bool) -> GrpoTrainer:
    settings = GrpoSettings.model_validate({
        "ckpt": "tiny-janus", "rewards": "semantic,prompt_image", "prompts": [{"shapes": []}], "prompts_per_step": 2,
        "samples_per_prompt": 8, "lora": "none", "beta": 0.0, "evaluation": "none", "device": "cpu",
        "sampling": {"guidance": 2.0, "chain_cap": 120, "tile": 4}, "judge_while_generating": early,
    })  # fmt: skip
    checkpoint = load_checkpoint(checkpoint_folder("tiny-janus"), device=torch.device("cpu"), dtype=torch.float32)
    served = total(rewards(server), "semantic", "prompt_image")
    policy = JanusPolicy(checkpoint, settings.policy_sampling)
    mix = PromptMix(settings.prompts, settings.seed, Builder().suite)
    return GrpoTrainer(settings, Path(TemporaryDirectory().name), policy, served, mix)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seconds, found = {}, {}
    with faulty_server() as server:
        for early in (False, True):
            trainer, times = prepared(server, early=early), []
            server.text = lambda question: (time.sleep(asked.latency), score(question))[1]
            for _ in range(asked.rounds):
                start = time.perf_counter()
                found[early] = trainer._judge(trainer._roll_out(0), Clock())[0]
                times.append(time.perf_counter() - start)
            seconds[early] = min(times)
    print("| judging | rollout and judging, s |\n|---|---|")
    print(f"| afterwards | {seconds[False]:.2f} |\n| while sampling | {seconds[True]:.2f} |")
    print(f"\nratio {seconds[False] / seconds[True]:.2f}; rewards equal: {found[False] == found[True]}")


if __name__ == "__main__":
    main()
