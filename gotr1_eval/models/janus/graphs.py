"""Replays a decode step as a CUDA graph: one launch a step instead of thousands of small ones.

A decode step of a batch reads all weights once and computes little; without a graph the GPU waits for Python. On any
other device the step is simply called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 2
"""Calls before the capture, in which libraries choose kernels and allocate workspaces."""


class Replayed:
    """A step whose work is the same at every call but for what its tensors hold.

    The step is handed over at the call and not kept: a replayer that held a method of its own owner would close a
    cycle, and the caches behind it would lie in memory until Python's collector came by.

    Args:
        state: the tensors that a call changes and that the next one reads, all on one device. A cache of keys and
            values need not be among them: a call writes the slot of its own position, and the first real call writes
            it again.
    """

    def __init__(self, state: Sequence[Tensor]) -> None:
        self._state = state
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, step: Callable[[int], None], span: int) -> None:
        """One step; the first one of a span is captured.

        Args:
            step: takes the span that attention reads, changes tensors in place only, and is the same at every call.
        """
        if not self._state[0].is_cuda:
            step(span)
            return
        # Streams and graphs belong to the current device, which under torchrun is not the one of the tensors.
        with torch.cuda.device(self._state[0].device):
            if span not in self._graphs:
                self._graphs[span] = self._captured(step, span)
            self._graphs[span].replay()

    def _captured(self, step: Callable[[int], None], span: int) -> torch.cuda.CUDAGraph:
        before = [tensor.clone() for tensor in self._state]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                step(span)
                # Each warm-up call starts from the same state: a step further might leave the cache.
                for tensor, saved in zip(self._state, before, strict=True):
                    tensor.copy_(saved)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(span)
        return graph
