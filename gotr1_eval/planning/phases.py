"""What a phase of work takes on one GPU: arithmetic where many tokens go through together, memory where few do."""

from __future__ import annotations

from dataclasses import dataclass

from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import Assumptions, Gpu
from gotr1_eval.planning.sizes import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A row of a plan.

    Attributes:
        flops: of all the work.
        moved: bytes between the GPUs' memory and their cores that decoding cannot avoid; 0 where arithmetic decides.
        seconds: of one GPU that did it all.
        calls: questions to a judge.
    """

    name: str
    flops: float
    seconds: float
    moved: float = 0.0
    calls: float = 0.0


def reading(name: str, total: float, gpu: Gpu, share: float, calls: float = 0.0) -> Phase:
    """Many tokens together: arithmetic decides."""
    return Phase(name=name, flops=total, seconds=total / (gpu.flops * share), calls=calls)


def writing(
    name: str,
    model: Language,
    weights: float,
    *,
    rows: float,
    batch: float,
    new: float,
    past: float,
    extra: float,
    gpu: Gpu,
    given: Assumptions,
    head: bool = True,
) -> Phase:
    """Tokens one after the other: every step reads the weights once for the whole batch, and each row its cache.

    Args:
        rows: sequences in all, `batch` of them at a time.
        new, past: tokens that each writes, and has before.
        extra: FLOPs a token besides the blocks, such as another head's.
        head: whether the language head runs at every step.
    """
    cached = flops.cache_bytes(model, given.weight_bytes) * (past + new / 2)
    step_bytes = weights * given.weight_bytes + batch * cached
    token = (flops.decoded(model, new, past) + (flops.head(model, new) if head else 0.0)) / new + extra
    memory_s = step_bytes / (gpu.bandwidth * given.write_share)
    step_s = max(memory_s, batch * token / (gpu.flops * given.read_share))
    steps = rows / batch * new
    return Phase(name=name, flops=rows * new * token, seconds=steps * step_s, moved=steps * step_bytes)
