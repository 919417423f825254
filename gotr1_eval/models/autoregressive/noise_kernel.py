"""The noise of `noise.gumbel` in one kernel, for GPUs: a number costs the four bytes that it is written with.

As operations of torch every step of the hash reads and writes 16 bytes a number. The kernel computes the same 64 bits
and takes the same logarithms in float64, so that a sample's noise is what the operations give. Triton comes with the
builds of torch for CUDA; whether it works is found out in `noise`.

Shape suffixes: B samples, V tokens of a vocabulary.
"""

# Triton compiles what stands in a kernel, annotations too.
# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
"""Numbers that one program makes."""


@triton.jit
def _mix(bits):
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB
    return bits ^ (bits >> 31)


@triton.jit
def _gumbel(keys_B, steps_B, noise_BV, count, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    token = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    stride = tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
    step = tl.load(steps_B + row).to(tl.uint64)
    moved = _mix(tl.load(keys_B + row).to(tl.uint64) + (step + 1) * stride)
    bits = _mix(moved + (token + 1).to(tl.uint64) * stride) >> 11
    # 2**53 - 1 and 2**-53, as in `noise.uniform`.
    number = tl.minimum(bits.to(tl.float64) + 0.5, 9007199254740991.0) * 1.1102230246251565e-16
    noise = -tl.log(-tl.log(number))
    tl.store(noise_BV + row.to(tl.int64) * count + token, noise.to(tl.float32), mask=token < count)


def gumbel(keys_B: Tensor, steps_B: Tensor, count: int) -> Tensor:
    """Standard Gumbel noise, float32 [B, V]; keys and steps are int64 of one device."""
    noise_BV = torch.empty(len(keys_B), count, device=keys_B.device)
    grid = (len(keys_B), triton.cdiv(count, BLOCK))
    # Triton launches on the current device, which under torchrun is not the one of the tensors.
    with torch.cuda.device_of(keys_B):
        _gumbel[grid](keys_B.contiguous(), steps_B.contiguous(), noise_BV, count, BLOCK=BLOCK)
    return noise_BV
