"""What every model that runs in this process shares: its device, its number format, its threads and its batches.

`LocalModel` is the skeleton of the adapters; the functions stand alone for what is no such adapter.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, cast
from weakref import WeakSet

import torch
from torch import Tensor

from gotr1_eval.core.errors import BackendError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")
Loaded = TypeVar("Loaded")
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


def compute_dtype(weight: Tensor) -> torch.dtype:
    """The type of the products with a weight: its own, or that of autocast."""
    device = weight.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return weight.dtype


def without_autocast(device: str) -> AbstractContextManager[Any]:
    """Everything in the type that it has; the meta device knows no autocast."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


@contextmanager
def ieee_float32() -> Iterator[None]:
    """What is called float32 is IEEE float32 inside: TF32, of ten bits, which cuDNN's convolutions take, is off.

    Outside it stays as it was: rewards also run in the process of somebody else's trainer.
    """
    switches = _tf32_switches()
    before = [getattr(where, name) for where, name, _ in switches]
    for where, name, off in switches:
        setattr(where, name, off)
    try:
        yield
    finally:
        for (where, name, _), value in zip(switches, before, strict=True):
            setattr(where, name, value)


def _tf32_switches() -> list[tuple[Any, str, object]]:
    """Where TF32 is switched, and the value that switches it off.

    torch from 2.9 on has new switches and refuses to mix them with the old ones: where the process has set the new
    ones, reading an old one is an error.
    """
    matmul, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    old: list[tuple[Any, str, object]] = [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    try:
        for where, name, _ in old:
            getattr(where, name)
    except RuntimeError:
        return [(where, "fp32_precision", "ieee") for where in (matmul, cudnn.conv, cudnn.rnn)]
    return old


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
    start, batch = 0, _Batch(size, name)
    while start < len(items):
        try:
            results.append(run(items[start : start + batch.size]))
            start += batch.size
            continue
        except torch.OutOfMemoryError:
            pass
        # Outside the handler: the exception holds every tensor of the failed batch.
        batch.shrink()
    return results


def in_rows(size: int, run: Callable[[int], Result], name: str) -> Result:
    """What `run` makes with so many rows at a time, or with fewer where they do not fit into memory.

    Raises:
        BackendError: not even one row fits.
    """
    batch = _Batch(size, name)
    while True:
        try:
            return run(batch.size)
        except torch.OutOfMemoryError:
            pass
        batch.shrink()


class _Batch:
    """How much is tried at a time."""

    def __init__(self, size: int, name: str) -> None:
        self.size, self._name, self._given_back = size, name, False

    def shrink(self) -> None:
        """Half as much from here on; but first, once, what others hold for their speed alone is given back."""
        if release_held_memory() and not self._given_back:
            self._given_back = True
        elif self.size == 1:
            raise BackendError(f"{self._name}: out of memory for a single input; use a smaller dtype or the CPU")
        else:
            self.size //= 2


class Releasable(Protocol):
    """Holds memory that it can do without, at the price of making it anew."""

    def release(self) -> bool:
        """Let go of it; whether there was any."""


held_memory: WeakSet[Releasable] = WeakSet()
"""What this process holds for speed alone; see `release_held_memory`."""


def release_held_memory() -> bool:
    """Give back what is held for speed alone, and what torch keeps for reuse; whether anything was held."""
    released = [each.release() for each in list(held_memory)]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return any(released)


def with_held_memory(run: Callable[[], Result]) -> Result:
    """What `run` makes; where it runs out of memory, once more with what others held for speed alone."""
    try:
        return run()
    except torch.OutOfMemoryError:
        pass
    # Outside the handler: the exception holds every tensor of the failed call.
    release_held_memory()
    return run()


class LocalModel(ABC, Generic[Loaded]):
    """A model in this process, which is read when it is first needed and run in batches that fit into memory.

    An adapter says how its files are read (`_load`) and what it makes of a batch.

    Args:
        device: `auto` is the first GPU if there is one.
        dtype: of the weights; `auto` is float32 on the CPU and bfloat16 on a GPU.
        batch_size: inputs in one forward pass; halved for the call when memory runs out.
    """

    def __init__(self, *, device: str, dtype: str, batch_size: int) -> None:
        """Raises UsageError when there is no such device."""
        self._device = choose_device(device)
        self._dtype = find_dtype(dtype, self._device)
        self._batch_size = batch_size

    @property
    @abstractmethod
    def name(self) -> str:
        """What the model is called in the names of metrics."""

    @abstractmethod
    def _load(self) -> Loaded:
        """Read the files, onto the device; raises UsageError for another model's, DataError for damaged ones."""

    @property
    @abstractmethod
    def _network(self) -> torch.nn.Module:
        """The loaded network, whose size decides how many threads it gets."""

    @cached_property
    def loaded(self) -> Loaded:
        """The model on its device, in evaluation mode; raises what `_load` does, BackendError where it does not fit."""
        try:
            return with_held_memory(self._load)
        except torch.OutOfMemoryError:
            raise BackendError(f"{self.name}: out of memory for the weights on {self._device}") from None

    @property
    def loaded_network(self) -> torch.nn.Module | None:
        """The network where it was read already, None where nobody has needed it yet."""
        return self._network if "loaded" in vars(self) else None

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Without gradients, on as many threads as pay."""
        parameters = sum(parameter.numel() for parameter in self._network.parameters())
        # A trainer's autocast is for its policy: a judge's numbers do not depend on who asks.
        precise = without_autocast(self._device.type)
        with fitting_threads(parameters), ieee_float32(), precise, torch.inference_mode():
            yield

    def _in_batches(self, items: Sequence[Item], run: Callable[[Sequence[Item]], Sequence[Result]]) -> list[Result]:
        """What `run` makes of each item, in order; nothing is loaded where there is none.

        Raises:
            BackendError: memory does not suffice for a single item.
        """
        if not items:
            return []
        with self._running():
            return [one for batch in in_batches(items, self._batch_size, run, self.name) for one in batch]

    def _by_size(
        self,
        items: Sequence[Item],
        size_of: Callable[[Item], Hashable],
        run: Callable[[Sequence[Item]], Sequence[Result]],
    ) -> list[Result]:
        """As `_in_batches`, where only items of equal size share a batch: padding would let neighbours matter."""
        groups: dict[Hashable, list[int]] = {}
        for place, item in enumerate(items):
            groups.setdefault(size_of(item), []).append(place)
        results: dict[int, Result] = {}
        for places in groups.values():
            results |= zip(places, self._in_batches([items[place] for place in places], run), strict=True)
        return [results[place] for place in range(len(items))]

    def _require_finite(self, finite: object, what: str) -> None:
        """Raises BackendError unless the numbers are finite: `what` is not, in the model's number format."""
        if not finite:
            kind = str(self._dtype).removeprefix("torch.")
            raise BackendError(f"{self.name}: {what} is not finite in {kind}; try dtype float32")
