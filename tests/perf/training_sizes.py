"""GRPO steps at Janus-Pro's sizes with random weights: where the time goes, and how much memory; a Markdown table.

    python -m tests.perf.training_sizes --size 1b|7b [--device cuda] [--prompts 8] [--group 16] [--cap 100]

Adapters of rank 32, bfloat16, all defaults of the trainer otherwise; the reward is a checksum of the chain and takes no
time. Random weights hardly ever end a chain, so that every chain has `cap` tokens. The first step does not count.
`--size mini` runs through the same on a processor, and tells nothing about anything.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gotr1_eval.build import Builder
from gotr1_eval.models.janus.loading import Checkpoint
from rewards.reward_set import RewardSet
from tests.grpo_runs import ChecksumJudge
from tests.perf.sampling import SIZES, random_janus
from tests.tiny_models import loaded_random
from training.grpo import GrpoTrainer
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix
from training.settings import GrpoSettings

PARTS = ("chain", "image", "decode", "judge", "update")


def policy(size: str, device: torch.device) -> Checkpoint:
    """Random weights of a size."""
    if size != "mini":
        return random_janus(size, device, torch.bfloat16)
    mini = loaded_random()
    mini.model.to(device)
    return mini


def gibibytes(device: torch.device) -> float:
    """The most memory held so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["mini", *SIZES], required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    for name, default in (("prompts", 8), ("group", 16), ("cap", 100), ("tile", 64), ("micro-batch", 8), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    settings = GrpoSettings.model_validate({
        "ckpt": asked.size, "rewards": "checksum", "prompts": [{"shapes": []}], "prompts_per_step": asked.prompts,
        "samples_per_prompt": asked.group, "micro_batch": asked.micro_batch, "evaluation": "none",
        "sampling": {"chain_cap": asked.cap, "tile": asked.tile}, "device": asked.device,
        "gradient_checkpointing": asked.checkpointing,
    })  # fmt: skip
    with TemporaryDirectory() as folder:
        rewards = RewardSet({"checksum": ChecksumJudge()})
        painter = JanusPolicy(policy(asked.size, device), settings.policy_sampling)
        mix = PromptMix(settings.prompts, settings.seed, Builder().suite)
        trainer = GrpoTrainer(settings, Path(folder), painter, rewards, mix)
        loaded = gibibytes(device)
        rows = [trainer.step(number) for number in range(asked.steps + 1)][1:]
    seconds = [sum(row[f"seconds/{part}"] for row in rows) / len(rows) for part in PARTS]
    rate = sum(row["speed/samples"] for row in rows) / len(rows)
    print(f"| size | samples a second | {' | '.join(f'{part}, s' for part in PARTS)} | weights, GiB | peak, GiB |")
    print(f"|{'---|' * (len(PARTS) + 4)}")
    told = " | ".join(f"{each:.1f}" for each in seconds)
    print(f"| {asked.size} | {rate:.2f} | {told} | {loaded:.1f} | {gibibytes(device):.1f} |")


if __name__ == "__main__":
    main()
