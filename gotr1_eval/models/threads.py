"""How many processor threads a model gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 20_000_000
"""Parameters below which a second thread costs more than it brings."""


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
