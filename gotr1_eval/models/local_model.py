"""What every model that runs in this process shares: its device, its number format, its threads and its batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from gotr1_eval.core.errors import BackendError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")
SMALL = 20_000_000
"""Parameters below which a second thread costs more than it brings."""


def choose_device(name: str) -> torch.device:
    """The device that a setting names; `auto` is a GPU if there is one.

    The first, or of processes that accelerate or torchrun started on a machine (LOCAL_RANK) each another.

    Raises:
        UsageError: torch knows no such device, or there are fewer GPUs.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        rank = os.environ.get("LOCAL_RANK")
        return torch.device("cuda") if rank is None else torch.device("cuda", int(rank) % torch.cuda.device_count())
    problem = f"no such device: {name!r}; expected auto, cpu, or cuda:<number>"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(problem) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"{problem} ({torch.cuda.device_count()} GPUs here)")
    return device


def list_devices() -> dict[str, str]:
    """Device, as settings name it -> what it is; the processor is always there."""
    found = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
    return found


def find_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of that name; `auto` is float32 on the CPU and bfloat16 on a GPU."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


@contextmanager
def fitting_threads(parameters: int) -> Iterator[None]:
    """One thread for a small model, torch's own number for others.

    A small model's matrices are too small to share out: two threads are slower than one, a hundred times slower when
    another process wants the core that a waiting thread spins on, and their sums round differently.
    """
    before = torch.get_num_threads()
    if parameters < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_batches(items: Sequence[Item], size: int, run: Callable[[Sequence[Item]], Result], name: str) -> list[Result]:
    """What `run` makes of the items, batch by batch, with smaller ones from the first that does not fit into memory.

    Raises:
        BackendError: not even one item fits.
    """
    results: list[Result] = []
    start = 0
    while start < len(items):
        try:
            results.append(run(items[start : start + size]))
            start += size
        except torch.OutOfMemoryError:
            if size == 1:
                raise BackendError(
                    f"{name}: out of memory for a single input; use a smaller dtype or the CPU"
                ) from None
            size //= 2
    return results
