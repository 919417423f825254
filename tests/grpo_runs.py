"""Small GRPO runs on a random checkpoint, in this process or as one of several (`python -m tests.grpo_runs`)."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.models.janus.loading import Checkpoint
from gotr1_eval.models.janus.sequence import SpecialIds
from rewards.reward_set import RewardSet
from tests.tiny_models import random_model, random_tokenizer
from training.grpo import GrpoTrainer
from training.settings import GrpoSettings


class ChecksumJudge:
    """A reward that looks random and depends on the chain alone; one sample in eight goes unscored."""

    name = "checksum"
    range = (0.0, 1.0)
    fingerprint = "checksum-1"
    may_not_apply = False
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        return [self._judge(zlib.crc32((sample.chain or "").encode())) for sample in samples]

    def _judge(self, checksum: int) -> Outcome:
        if checksum % 8 == 0:
            return Unscored(why=Why.UNREADABLE, detail="eighth")
        return Score(value=checksum % 1000 / 1000)


def settings(**changes: Any) -> GrpoSettings:
    """Two steps of two prompts with four samples each, trained in full with a KL term."""
    values = {
        "ckpt": "random", "rewards": "checksum", "prompts": [{"shapes": ["color"]}], "steps": 2, "prompts_per_step": 2,
        "samples_per_prompt": 4, "micro_batch": 8, "learning_rate": 1e-3, "lora": None, "beta": 0.1,
        "sampling": {"guidance": 3.0, "chain_cap": 12, "tile": 4}, "evaluation": None, "save_every": 1, "device": "cpu",
    }  # fmt: skip
    return GrpoSettings.model_validate(values | changes)


def trainer(folder: Path, rewards: RewardSet | None = None, **changes: Any) -> GrpoTrainer:
    """A trainer of the random checkpoint, always the same one."""
    tokenizer = random_tokenizer()
    checkpoint = Checkpoint(random_model(tokenizer), tokenizer, SpecialIds.of(tokenizer))
    folder.mkdir(parents=True, exist_ok=True)
    return GrpoTrainer(settings(**changes), folder, checkpoint, rewards or RewardSet({"checksum": ChecksumJudge()}))


def gradients(one: GrpoTrainer) -> dict[str, torch.Tensor]:
    """The gradients of one step, before they are clipped and used."""
    one.optimizer.step = lambda: None  # type: ignore[method-assign]
    one.step(0)
    return {name: each.grad for name, each in one.learner.policy.named_parameters() if each.grad is not None}


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    trained = trainer(out, max_grad_norm=1e9)
    found = gradients(trained)
    if trained.accelerator.is_main_process:
        torch.save(found, out / "gradients.pt")
    trained.close()
    # The gradients are on the disk; gloo's threads now and then abort while the interpreter unloads them.
    os._exit(0)
