"""Learning rates over a training run."""

from __future__ import annotations

import math

import torch


def cosine_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up from 0, then half a cosine down to a twentieth of the peak (paper section 4: cosine)."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = (step - warmup_steps) / max(steps - warmup_steps, 1)
        return 0.05 + 0.95 * (1 + math.cos(math.pi * min(done, 1.0))) / 2

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
