"""Decode steps: who holds their caches, and on which device they are captured."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from gotr1_eval.models.autoregressive import sampling
from gotr1_eval.models.generators.janus import JanusGenerator, Settings
from tests.tiny_models import random_checkpoint


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_no_cache_outlives_its_stage(tmp_path, monkeypatch, without_collector):
    made: list[weakref.ref[sampling.KVCache]] = []

    class Counted(sampling.KVCache):
        def __init__(self, *args: object) -> None:
            assert not [one for one in made if one() is not None], "two caches at a time"
            super().__init__(*args)
            made.append(weakref.ref(self))

    monkeypatch.setattr(sampling, "KVCache", Counted)
    generator = JanusGenerator(Settings(ckpt=str(random_checkpoint(tmp_path)), chain_cap=6))
    for seed in range(3):
        generator.generate(["a red circle", "a blue square"], [seed, seed + 1])
    assert len(made) == 6
    assert not [one for one in made if one() is not None]


class FakeCuda:
    """torch.cuda as graphs use it; notes the current device at every call."""

    def __init__(self) -> None:
        self.current, self.calls = 0, list[tuple[str, int]]()

    def note(self, name: str) -> SimpleNamespace:
        self.calls.append((name, self.current))
        return SimpleNamespace(wait_stream=lambda other: None, replay=lambda: self.note("replay"))

    @contextmanager
    def device(self, device: torch.device):
        before, self.current = self.current, device.index
        yield
        self.current = before

    @contextmanager
    def stream(self, stream: object):
        yield

    @contextmanager
    def graph(self, graph: object):
        self.note("capture")
        yield

    def Stream(self) -> SimpleNamespace:  # noqa: N802 - torch's name
        return self.note("stream")

    def CUDAGraph(self) -> SimpleNamespace:  # noqa: N802
        return self.note("graph")

    def current_stream(self) -> SimpleNamespace:
        return self.note("current stream")


def test_a_graph_belongs_to_the_device_of_its_tensors(monkeypatch):
    """Under torchrun, or with device = cuda:1, that is not the current one."""
    cuda = FakeCuda()
    monkeypatch.setattr(sampling, "torch", SimpleNamespace(cuda=cuda))
    state = SimpleNamespace(is_cuda=True, device=torch.device("cuda", 1), clone=lambda: None, copy_=lambda saved: None)
    replayed = sampling.Replayed([state])
    for span in (64, 64, 128):
        replayed(lambda span: cuda.note("step"), span)
    assert {device for _, device in cuda.calls} == {1}
    names = [name for name, _ in cuda.calls]
    assert (names.count("capture"), names.count("replay")) == (2, 3)
    assert cuda.current == 0
