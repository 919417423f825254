"""Judges' models leave the policy's device while it works, and come back when they are asked."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.models.local_model import LocalModel
from tests.grpo_runs import trainer
from training.offloading import Offloading

GPU = torch.device("cuda", 0)


class Network:
    """What offloading knows of a model: where its weights are, and how to move them."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.room = device, True

    def parameters(self):
        yield SimpleNamespace(device=self.device)

    def to(self, device):
        if not self.room:
            raise torch.OutOfMemoryError("tried to allocate 15 GiB")
        self.device = torch.device(device)


class Component(LocalModel):
    """A judge's model, loaded when it is first asked for."""

    name = "component"

    def __init__(self, network: Network) -> None:
        super().__init__(device="cpu", dtype="auto", batch_size=1)
        self._read = network

    def _load(self):
        return SimpleNamespace(model=self._read)

    @property
    def _network(self):
        return self.loaded.model


@pytest.fixture(autouse=True)
def _without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def test_a_model_is_on_the_gpu_only_while_it_judges():
    mine, other, unasked = Network(GPU), Network(torch.device("cuda", 1)), Network(GPU)
    components = [Component(mine), Component(other), Component(unasked), object()]
    offloading = Offloading(lambda: components, GPU)
    for _ in range(2):
        with offloading.judging():
            assert [each.loaded is not None for each in components[:2]] == [True, True]
            assert mine.device == GPU
        assert mine.device == torch.device("cpu")
    assert other.device == torch.device("cuda", 1)
    assert components[2].loaded_network is None, "what nobody asked was loaded"


def test_a_failing_judge_leaves_the_gpu_too():
    network = Network(GPU)
    component = Component(network)
    offloading = Offloading(lambda: [component], GPU)

    def judge() -> None:
        with offloading.judging():
            raise ValueError(f"broken: {component.loaded}")

    with pytest.raises(ValueError, match="broken"):
        judge()
    assert network.device == torch.device("cpu")


def test_what_cannot_work_is_one_line():
    with pytest.raises(UsageError, match="offload_judges: the policy is on the cpu"):
        Offloading(list, torch.device("cpu"))
    network = Network(GPU)
    component = Component(network)
    offloading = Offloading(lambda: [component], GPU)
    with offloading.judging():
        assert component.loaded
    network.room = False
    with pytest.raises(RunError, match=r"do not fit beside the policy on cuda:0.*15 GiB"), offloading.judging():
        pass


def test_judges_are_on_the_device_when_they_are_asked_and_not_while_the_policy_works(tmp_path):
    told = []

    @contextmanager
    def judging():
        told.append("in")
        yield
        told.append("out")

    one = trainer(tmp_path)
    collector, update = one.collector, one._update
    judge, sample, collector.judging = collector.rewards.judge, collector.sample, judging
    collector.rewards = SimpleNamespace(
        judge=lambda *given: told.append("judge") or judge(*given), headline=one.rewards.headline, judges={}
    )
    collector.sample = lambda *given: told.append("sample") or sample(*given)
    one._update = lambda *given: told.append("update") or update(*given)
    one.step(0)
    assert told == ["sample", "in", "judge", "out", "update"]
