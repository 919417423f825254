"""The noise in one kernel, by Triton's interpreter, and what happens where there is no sound one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch

from gotr1_eval.models.autoregressive import noise

INTERPRETED = """
import torch
from gotr1_eval.models.autoregressive import noise, noise_kernel

keys_B = noise.stream_keys([0, 1, -5, 2**63 - 1, 2**64 + 3], noise.Stage.IMAGE)
steps_B = torch.tensor([0, 7, 100_000, 1, 575])
for count in (1, 37, 1024, 5000):
    assert torch.equal(noise_kernel.gumbel(keys_B, steps_B, count), noise.gumbel(keys_B, steps_B, count)), count
assert noise.sound_kernel(torch.device("cpu")) is not None
"""


@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton comes with the builds of torch for CUDA")
def test_the_kernel_gives_the_numbers_of_the_operations(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    subprocess.run([sys.executable, "-c", INTERPRETED], check=True)


@pytest.mark.parametrize("fault", ["absent", "breaks", "other numbers", "none"])
def test_a_kernel_is_used_where_it_is_sound(fault: str, monkeypatch):
    def kernel(keys_B, steps_B, count):
        if fault == "breaks":
            raise RuntimeError("no C compiler\nwas found")
        made = noise._gumbel_by_operations(keys_B, steps_B, count)
        return made + (fault == "other numbers") * 1e-6

    class Module:
        gumbel = staticmethod(kernel)

    name = "gotr1_eval.models.autoregressive.noise_kernel"
    monkeypatch.setitem(sys.modules, name, None if fault == "absent" else Module)
    noise.sound_kernel.cache_clear()
    device = torch.device("cpu")
    try:
        if fault == "none":
            assert noise.sound_kernel(device) is kernel
        else:
            with pytest.warns(UserWarning, match="noise by single operations"):
                assert noise.sound_kernel(device) is None
    finally:
        noise.sound_kernel.cache_clear()
