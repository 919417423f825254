"""Noise that belongs to a sample and to nothing else: a hash of (seed, stage, step, token) instead of a generator.

A torch generator hands out numbers in the order of the calls, so that a sample's noise would depend on its
neighbours, on the length of their chains and on the device. Here every number is computed from where it is used:
batch, order and restarts change nothing. Sampling is by the Gumbel-max trick: the argmax of logits plus Gumbel
noise is distributed as softmax(logits).

The hash is a chain of 64-bit finalisers with the multipliers of SplitMix64 (Steele, Lea, Flood, 2014).

Shape suffixes: B samples, V tokens of a vocabulary.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor

from gotr1_eval.core.errors import one_line


class Stage(IntEnum):
    """What the noise is for; chain and image of one seed must not share any."""

    CHAIN = 1
    IMAGE = 2


def _signed(value: int) -> int:
    """The int64 with the same 64 bits: torch knows no unsigned arithmetic."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


_STRIDE = _signed(0x9E3779B97F4A7C15)
_MULTIPLIERS = (_signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB))


_CHUNK = 65_536
"""Numbers made at a time on the CPU: half a megabyte, which stays in the cache through all operations."""


def _shift(bits: Tensor, count: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift repeats the sign."""
    return (bits >> count).bitwise_and_(2 ** (64 - count) - 1)


def mix(bits: Tensor) -> Tensor:
    """A bijection of int64 that turns neighbouring inputs into unrelated outputs."""
    return _mix_in_place(bits.clone())


def _mix_in_place(bits: Tensor) -> Tensor:
    bits.bitwise_xor_(_shift(bits, 30)).mul_(_MULTIPLIERS[0])
    bits.bitwise_xor_(_shift(bits, 27)).mul_(_MULTIPLIERS[1])
    return bits.bitwise_xor_(_shift(bits, 31))


def stream_keys(seeds: Sequence[int], stage: Stage, device: torch.device | str = "cpu") -> Tensor:
    """One key a sample for one stage; int64 [B]. Seeds may be any integers; their lowest 64 bits count."""
    seeds_B = torch.tensor([_signed(seed) for seed in seeds], dtype=torch.int64, device=device)
    return mix(mix(seeds_B + _STRIDE) + _signed(int(stage) * _STRIDE))


def uniform(keys_B: Tensor, step: int | Tensor, count: int) -> Tensor:
    """Numbers in the open interval (0, 1) for tokens 0..count-1 of one step; float64 [B, V].

    Args:
        step: counted from 0, of all samples [] or of each [B]; as an int64 tensor it may change under a captured graph.
    """
    moved = _signed((step + 1) * _STRIDE) if isinstance(step, int) else (step + 1) * _STRIDE
    step_B = mix(keys_B + moved)
    tokens_V = torch.arange(1, count + 1, dtype=torch.int64, device=keys_B.device) * _STRIDE
    bits_BV = _shift(_mix_in_place(step_B[:, None] + tokens_V[None, :]), 11)
    # Half a step away from both ends, so that no logarithm meets 0; 2**-54 more would round to 1.
    return bits_BV.double().add_(0.5).clamp_(max=2.0**53 - 1).mul_(2.0**-53)


def gumbel(keys_B: Tensor, step: int | Tensor, count: int) -> Tensor:
    """Standard Gumbel noise for tokens 0..count-1 of one step (as `uniform` takes it); float32 [B, V]."""
    steps_B = torch.as_tensor(step, device=keys_B.device).expand(len(keys_B))
    if keys_B.is_cuda and (kernel := sound_kernel(keys_B.device)) is not None:
        return kernel(keys_B, steps_B, count)
    return _gumbel_by_operations(keys_B, steps_B, count)


def _gumbel_by_operations(keys_B: Tensor, steps_B: Tensor, count: int) -> Tensor:
    rows = max(_CHUNK // count, 1) if keys_B.device.type == "cpu" else len(keys_B)
    parts = [
        uniform(part_B, step_B, count).log_().neg_().log_().neg_().float()
        for part_B, step_B in zip(torch.split(keys_B, rows), torch.split(steps_B, rows), strict=True)
    ]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


Kernel = Callable[[Tensor, Tensor, int], Tensor]


@lru_cache
def sound_kernel(device: torch.device) -> Kernel | None:
    """One kernel for all of it, where the device has one that gives the same numbers; tried once, outside any capture.

    A torch without Triton, a machine without the compiler that Triton calls, or a number that is not the same: then
    the operations are used, and a warning says so.
    """
    try:
        from gotr1_eval.models.autoregressive.noise_kernel import gumbel as kernel

        keys_B, steps_B = stream_keys([0, -1, 2**63], Stage.CHAIN, device), torch.tensor([0, 7, 600], device=device)
        made_BV, expected_BV = (make(keys_B, steps_B, 5000) for make in (kernel, _gumbel_by_operations))
        found: Kernel = kernel
    except Exception as error:  # noqa: BLE001 - whatever a compiler says
        warnings.warn(f"noise by single operations, which is slower: {one_line(error)}", stacklevel=2)
        return None
    if not torch.equal(made_BV, expected_BV):
        warnings.warn("noise by single operations: the kernel's numbers are not the same here", stacklevel=2)
        return None
    return found
