"""The learning rate of a step."""

from __future__ import annotations

import math

import torch


def cosine_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Share of the peak at a step: linear warm-up, then half a cosine down to a twentieth (paper section 4: cosine)."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def cosine_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """`cosine_factor` as torch's schedule."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_factor(step, steps, warmup_steps))
