"""The skeleton of the models in this process: read once, batches of one size that fit, finite numbers."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import pytest
import torch

from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.models.local_model import LocalModel, held_memory, in_batches


class Doubler(LocalModel[torch.nn.Linear]):
    """Doubles texts; remembers the batches that it was given, and lacks memory for more than `fits` of them."""

    name = "doubler"

    def __init__(self, fits: int = 100, batch_size: int = 4, *, loads: bool = True, device: str = "cpu") -> None:
        super().__init__(device=device, dtype="float32", batch_size=batch_size)
        self.fits, self.loads = fits, loads
        self.batches: list[list[str]] = []
        self.loadings = 0

    def _load(self) -> torch.nn.Linear:
        self.loadings += 1
        if not self.loads:
            raise torch.OutOfMemoryError("tried to allocate 70 GiB")
        return torch.nn.Linear(2, 2)

    @property
    def _network(self) -> torch.nn.Module:
        return self.loaded

    def double(self, texts: Sequence[str]) -> list[str]:
        return self._by_size(texts, len, self._run)

    def _run(self, texts: Sequence[str]) -> list[str]:
        assert torch.is_inference_mode_enabled()
        if len(texts) > self.fits:
            raise torch.OutOfMemoryError
        self.batches.append(list(texts))
        return [2 * text for text in texts]


def test_equal_sizes_share_batches_and_answers_keep_the_order():
    model = Doubler(batch_size=2)
    assert model.double(["a", "bb", "c", "dd", "e"]) == ["aa", "bbbb", "cc", "dddd", "ee"]
    assert model.batches == [["a", "c"], ["e"], ["bb", "dd"]]


def test_a_model_is_read_when_it_is_first_needed_and_once():
    model = Doubler()
    assert model.double([]) == []
    assert model.loadings == 0
    model.double(["a"])
    model.double(["b"])
    assert model.loadings == 1


def test_batches_are_halved_until_they_fit():
    model = Doubler(fits=2, batch_size=8)
    assert model.double(list("abcde")) == ["aa", "bb", "cc", "dd", "ee"]
    assert [len(batch) for batch in model.batches] == [2, 2, 1]
    with pytest.raises(BackendError, match=r"^doubler: out of memory for a single input"):
        Doubler(fits=0).double(["a"])


def test_a_failed_batch_is_let_go_before_the_next_is_tried():
    held: list[weakref.ref[torch.Tensor]] = []

    def run(items: Sequence[int]) -> int:
        assert all(each() is None for each in held)
        features = torch.zeros(len(items))
        held.append(weakref.ref(features))
        if len(items) > 1:
            raise torch.OutOfMemoryError
        return len(items)

    assert in_batches([1, 2, 3], 4, run, "model") == [1, 1, 1]
    assert len(held) == 5


def test_weights_find_room_where_others_hold_memory_for_their_speed():
    class Held:
        bytes = 1

        def release(self) -> bool:
            held, self.bytes = self.bytes, 0
            return held > 0

    class Crowded(Doubler):
        def _load(self) -> torch.nn.Linear:
            if held.bytes:
                raise torch.OutOfMemoryError("tried to allocate 70 GiB")
            return super()._load()

    held = Held()
    held_memory.add(held)
    assert Crowded().double(["a"]) == ["aa"]


def test_a_judge_computes_in_its_own_precision_whatever_a_trainer_does():
    class Precise(Doubler):
        def _run(self, texts: Sequence[str]) -> list[str]:
            return [str(self.loaded(torch.full((1, 2), 1 / 3)).dtype) for _ in texts]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Precise().double(["a"]) == ["torch.float32"]


def test_weights_that_do_not_fit_are_one_line():
    with pytest.raises(BackendError, match=r"^doubler: out of memory for the weights on cpu$"):
        _ = Doubler(loads=False).loaded


def test_numbers_that_are_not_finite_and_devices_that_are_not_there():
    with pytest.raises(BackendError, match=r"^doubler: a score is not finite in float32; try dtype float32$"):
        Doubler()._require_finite(torch.tensor([float("nan")]).isfinite().all(), "a score")
    with pytest.raises(UsageError, match="no such device: 'abacus'"):
        Doubler(device="abacus")
