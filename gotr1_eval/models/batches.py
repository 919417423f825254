"""Batches that shrink when the memory does not suffice for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from gotr1_eval.core.errors import BackendError

Item = TypeVar("Item")
Result = TypeVar("Result")


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
