"""Judges in this process on the policy's GPU, which wait in main memory while the policy samples and learns.

So the GPU holds the policy and, one after the other, the sampler's KV cache, the judges, and the update's activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch

from gotr1_eval.core.errors import RunError, UsageError, one_line
from gotr1_eval.models.local_model import with_held_memory


@runtime_checkable
class HoldsNetwork(Protocol):
    """A model in this process, such as a `gotr1_eval.models.local_model.LocalModel`."""

    @property
    def loaded_network(self) -> torch.nn.Module | None:
        """The network where it was read already; asking does not read it."""
        ...


class Offloading:
    """Moves the judges' models to the policy's device and away again; one on another device stays where it is.

    Args:
        components: whatever was built so far, of which those that are a `HoldsNetwork` are moved.
        device: the policy's.

    Raises:
        UsageError: the policy is in main memory itself.
    """

    def __init__(self, components: Callable[[], Iterable[object]], device: torch.device) -> None:
        if device.type == "cpu":
            raise UsageError("offload_judges: the policy is on the cpu, where there is nothing to make room for")
        self._components, self._device = components, device
        self._waiting: list[torch.nn.Module] = []

    @contextmanager
    def judging(self) -> Iterator[None]:
        """The judges' models are on the device; those loaded meanwhile leave it with the others.

        Raises:
            RunError: they do not fit beside the policy.
        """
        try:
            with_held_memory(lambda: [model.to(self._device) for model in self._waiting])
        except torch.OutOfMemoryError as error:
            raise RunError(
                f"the judges do not fit beside the policy on {self._device}, even alone: give them a device of their "
                f"own in the reward set, or a server (judge_model): {one_line(error, 120)}"
            ) from None
        try:
            yield
        finally:
            self._waiting = [model for model in self._networks() if next(model.parameters()).device == self._device]
            for model in self._waiting:
                model.to("cpu")
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _networks(self) -> Iterator[torch.nn.Module]:
        for component in self._components():
            if isinstance(component, HoldsNetwork) and (network := component.loaded_network) is not None:
                yield network
