"""Small supervised runs on a random checkpoint, in this process or as one of several (`python -m tests.sft_runs`)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.distributed.fsdp import FSDPModule

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from tests.tiny_models import CODES, TOKENS, loaded_random
from training.policies import Policy, Sampling
from training.policies.janus import JanusPolicy
from training.settings import SftSettings
from training.sft_run import SftTrainer
from training.sharding import sharding_asked


def write_data(folder: Path) -> Path:
    """Five rows with pictures and one with image tokens."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for index in range(5):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(folder / f"{index}.png")
        rows.append({"prompt": f"a red circle {index}", "chain": "A red circle.", "image": f"{index}.png"})
    rows.append(
        {"prompt": "codes", "chain": f"x{BEGIN_OF_IMAGE}", "image_tokens": [index % CODES for index in range(TOKENS)]}
    )
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(folder: Path, data: Path, steps: int, policy: Policy | None = None, **changes: Any) -> SftTrainer:
    """A trainer of the random checkpoint, always the same one, or of another policy."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"ckpt": "random", "data": [data], "steps": steps, "batch_size": 4, "micro_batch": 2, "device": "cpu"}
    settings = SftSettings.model_validate(values | {"save_every": 2, "learning_rate": 1e-3} | changes)
    return SftTrainer(settings, folder, policy or JanusPolicy(loaded_random(), Sampling(guidance=1.0)))


def _two_processes(out: Path, data: Path, changes: dict[str, Any]) -> None:
    """Two steps with a stop signal to the last process only; of three micro-batches one process has two."""
    trainer = run(out / "two", data, 5, batch_size=3, micro_batch=1, **changes)
    assert isinstance(trainer.model, FSDPModule) == sharding_asked()
    last = trainer.accelerator.process_index == trainer.accelerator.num_processes - 1
    after = trainer._after_step

    def stop(done: int, losses: Any) -> bool:
        trainer.stopping = last and done == 3
        return after(done, losses)

    trainer._after_step = stop  # type: ignore[method-assign]
    assert trainer.train() == 3
    (out / f"done-{trainer.accelerator.process_index}").touch()


if __name__ == "__main__":
    torch.set_num_threads(1)
    _two_processes(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
    # What was found is on the disk; gloo's threads now and then abort while the interpreter unloads them.
    os._exit(0)
