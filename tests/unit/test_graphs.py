"""Decode steps: who holds their caches, and on which device they are captured."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.types import Prompt
from gotr1_eval.models.autoregressive import stages
from gotr1_eval.models.generators.janus import JanusGenerator, Settings
from gotr1_eval.models.local_model import held_memory, in_batches, release_held_memory
from tests.tiny_models import random_checkpoint
from training.policies import Sampling
from training.policies.janus import read_policy
from training.rollout import generate


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def caches(monkeypatch) -> list[weakref.ref[stages.KVCache]]:
    """Every KV cache that is made; there are never two at a time."""
    made: list[weakref.ref[stages.KVCache]] = []

    class Counted(stages.KVCache):
        def __init__(self, *args: object) -> None:
            assert not alive(made), "two caches at a time"
            super().__init__(*args)
            made.append(weakref.ref(self))

    monkeypatch.setattr(stages, "KVCache", Counted)
    return made


def alive(made: list[weakref.ref[stages.KVCache]]) -> int:
    return sum(one() is not None for one in made)


def test_a_generator_keeps_one_cache_for_all_its_tiles(tmp_path, caches, without_collector):
    generator = JanusGenerator(Settings(ckpt=str(random_checkpoint(tmp_path)), chain_cap=6))
    for seed in range(3):
        generator.generate(["a red circle", "a blue square"], [seed, seed + 1])
    assert alive(caches) == 1
    assert len(caches) == 2, "the chains', and the larger one of the pictures"
    assert release_held_memory()
    assert not alive(caches)
    assert not release_held_memory()


def test_a_rollout_lets_its_cache_go(tmp_path, caches, without_collector):
    """The weights change, and the update needs the memory."""
    policy = read_policy(str(random_checkpoint(tmp_path)), "cpu", "float32", Sampling(guidance=2.0))
    generate(policy, [Prompt("a red circle")] * 4, range(4), chain_cap=6, tile=2)
    assert len(caches) == 2
    assert not alive(caches)


def test_held_memory_is_given_back_before_batches_shrink():
    class Held:
        def __init__(self) -> None:
            self.bytes = 3

        def release(self) -> bool:
            held, self.bytes = self.bytes, 0
            return held > 0

    held, asked = Held(), []
    held_memory.add(held)

    def run(items):
        asked.append(len(items))
        if len(items) + held.bytes > 4:
            raise torch.OutOfMemoryError
        return sum(items)

    assert in_batches([1] * 4, 4, run, "a model") == [4]
    assert asked == [4, 4]
    held.bytes = 9
    with pytest.raises(BackendError, match="single input"):
        in_batches([1] * 8, 8, lambda items: (_ for _ in ()).throw(torch.OutOfMemoryError), "a model")


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

    def graph_pool_handle(self) -> object:
        return self.note("pool")

    @contextmanager
    def graph(self, graph: object, pool: object):
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
    monkeypatch.setattr(stages, "torch", SimpleNamespace(cuda=cuda))
    state = SimpleNamespace(is_cuda=True, device=torch.device("cuda", 1), clone=lambda: None, copy_=lambda saved: None)
    replayed = stages.Replayed([state])
    for span in (64, 64, 128):
        replayed(lambda span: cuda.note("step"), span)
    assert {device for _, device in cuda.calls} == {1}
    names = [name for name, _ in cuda.calls]
    assert (names.count("capture"), names.count("replay")) == (2, 3)
    assert cuda.current == 0
